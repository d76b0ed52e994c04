use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What a future gives that need not wait: no task is worth that. One that waits is to be polled again.
pub(super) fn at_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

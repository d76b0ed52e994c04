mod expr;
mod hostile;
mod scope;
mod template;

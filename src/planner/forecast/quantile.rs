//! Numbers that a sample needs, computed with additions, multiplications and divisions only: the
//! libraries of two machines round powers and logarithms differently, and a plan must not differ.

/// e to a power in `-700.0..=700.0`; beyond, the value at the end of that range.
pub(in crate::planner) fn exp(power: f64) -> f64 {
    let power = power.clamp(-700.0, 700.0);
    // e^x = (e^(x / 1024))^1024.
    let small = power / 1024.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..12 {
        term *= small / f64::from(n);
        sum += term;
    }
    for _ in 0..10 {
        sum *= sum;
    }
    sum
}

/// Natural logarithm of a number above 0.
pub(in crate::planner) fn ln(number: f64) -> f64 {
    // Powers of two are taken off, exactly; the rest lies within 0.7..1.4.
    let (mut rest, mut twos) = (number, 0);
    while rest > 1.4 {
        rest /= 2.0;
        twos += 1;
    }
    while rest < 0.7 {
        rest *= 2.0;
        twos -= 1;
    }
    let ratio = (rest - 1.0) / (rest + 1.0);
    let square = ratio * ratio;
    let mut term = ratio;
    let mut sum = 0.0;
    for n in 0..24 {
        sum += term / f64::from(2 * n + 1);
        term *= square;
    }
    2.0 * sum + f64::from(twos) * std::f64::consts::LN_2
}

/// The standard normal quantile of a share in `0.0..1.0` (Acklam's approximation: relative error
/// below 1.2e-9).
pub(super) fn normal(share: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    const LOW: f64 = 0.024_25;
    let polynomial = |factors: &[f64], at: f64| factors.iter().fold(0.0, |sum, it| sum * at + it);
    if !(LOW..=1.0 - LOW).contains(&share) {
        let tail = share.min(1.0 - share);
        let root = (-2.0 * ln(tail)).sqrt();
        let value = polynomial(&C, root) / (polynomial(&D, root) * root + 1.0);
        return if share < LOW { value } else { -value };
    }
    let middle = share - 0.5;
    let square = middle * middle;
    polynomial(&A, square) * middle / (polynomial(&B, square) * square + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_the_library_gives() {
        for number in [1e-9, 0.3, 0.7, 1.0, 1.4, 2.0, 7.5, 1e9] {
            assert!((ln(number) - number.ln()).abs() < 1e-12, "{number}");
        }
        for power in [-20.0, -1.0, 0.0, 0.5, 3.0, 20.0] {
            assert!((exp(power) / power.exp() - 1.0).abs() < 1e-11, "{power}");
        }
        for (share, quantile) in [
            (0.5, 0.0),
            (0.9, 1.281_551_565_5),
            (0.975, 1.959_963_984_5),
            (0.001, -3.090_232_306_2),
        ] {
            assert!((normal(share) - quantile).abs() < 1e-7, "{share}");
        }
    }
}

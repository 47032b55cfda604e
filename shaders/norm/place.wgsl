// Provider of statistic_number and affine_number: which set and which weight load `at` has, in
// units of what it loads of them.

fn statistic_number(at: u32) -> u32 {
    let n = quotient(at, params.statistic_length);
    return n - quotient(n, params.statistics) * params.statistics;
}

fn affine_number(at: u32) -> u32 {
    let n = quotient(at, params.span);
    return n - quotient(n, params.affines) * params.affines;
}

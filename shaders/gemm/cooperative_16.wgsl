// Provider of the matrices of cooperative_units: 16 x 16.

const EDGE: u32 = 16u;

alias MatrixA = coop_mat16x16<f16, A>;
alias MatrixB = coop_mat16x16<f16, B>;
alias MatrixC = coop_mat16x16<f32, C>;

// Provider of store for matmul_registers and matmul_terms: the part of a block of four rows and four columns that lies in y, element by element.

fn store(value: mat4x4<f32>, row: u32, column: u32) {
    var rest = value;
    for (var i = 0u; i < params.four; i++) {
        var line = rest[0];
        for (var j = 0u; j < params.four; j++) {
            if row + i < params.m && column + j < params.n {
                let at = params.first_y + (row + i) * params.row_y + column + j;
                y[at] = finish(line.x, params.first_column + column + j, at);
            }
            line = line.yzwx;
        }
        rest = mat4x4<f32>(rest[1], rest[2], rest[3], rest[0]);
    }
}

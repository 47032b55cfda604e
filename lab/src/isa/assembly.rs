//! What a hot loop is made of, read from assembly.

use serde::{Deserialize, Serialize};

/// Whose assembly it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// GCN and RDNA, as LLVM writes them.
    Amd,
    /// As nvdisasm writes it.
    Nvidia,
}

/// What an instruction does, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// So many at once.
    MultiplyAdd(usize),
    /// Of workgroup memory, so many bytes.
    SharedLoad(usize),
    GlobalLoad {
        wide: bool,
    },
    Wait,
    /// An integer multiplication that takes several cycles.
    Multiply,
    /// A floating-point reciprocal: divisions begin with one, those of integers too.
    Reciprocal,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Instruction {
    kind: Kind,
    /// The label that it may jump to.
    target: Option<String>,
    line: String,
}

/// Instructions of a loop, without the loops inside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub instructions: usize,
    pub multiply_adds: usize,
    pub shared_loads: usize,
    /// Bytes that these load for an invocation.
    pub shared_bytes: usize,
    pub global_loads: usize,
    /// Of these, those of 16 bytes.
    pub wide_loads: usize,
    pub waits: usize,
    pub multiplications: usize,
    pub reciprocals: usize,
    /// Waits for global loads between one of its own and its first multiply-add.
    pub early_waits: usize,
}

impl Counts {
    /// The share of instructions that multiply and add.
    pub fn share(&self) -> f64 {
        share(self.multiply_adds, self.instructions)
    }

    /// Loads of global memory of less than 16 bytes.
    pub fn narrow_loads(&self) -> usize {
        self.global_loads - self.wide_loads
    }

    fn of(instructions: &[&Instruction]) -> Self {
        let mut counts = Self {
            instructions: instructions.len(),
            ..Self::default()
        };
        let mut loaded = false;
        for instruction in instructions {
            match instruction.kind {
                Kind::MultiplyAdd(count) => counts.multiply_adds += count,
                Kind::SharedLoad(bytes) => {
                    counts.shared_loads += 1;
                    counts.shared_bytes += bytes;
                }
                Kind::GlobalLoad { wide } => {
                    loaded = true;
                    counts.global_loads += 1;
                    counts.wide_loads += usize::from(wide);
                }
                Kind::Wait => {
                    let early = loaded && counts.multiply_adds == 0;
                    let early = early && instruction.line.contains("vmcnt");
                    counts.early_waits += usize::from(early);
                    counts.waits += 1;
                }
                Kind::Multiply => counts.multiplications += 1,
                Kind::Reciprocal => counts.reciprocals += 1,
                Kind::Other => {}
            }
        }
        counts
    }
}

/// `part` of `whole`, 0 of nothing.
pub fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// A program's hot loop: of all loops, each without those inside it, the one with most
/// multiply-adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotLoop {
    pub inner: Counts,
    /// The loop around it, without it: for a product, what is done once for a block of terms.
    pub outer: Option<Counts>,
    /// All of the program.
    pub all: Counts,
    /// Each loop without those inside it, in their order; if there is none, all of the program
    /// stands for the hot one.
    pub loops: Vec<Counts>,
    /// Its instructions, without the loops inside it.
    #[serde(skip)]
    pub text: Vec<String>,
}

impl HotLoop {
    /// Its turns in one of the loop around it, in which an invocation does so many multiply-adds:
    /// compilers unroll as they like. One where there is no such loop.
    pub fn turns(&self, multiply_adds: usize) -> usize {
        if self.outer.is_none() {
            return 1;
        }
        let each = self.inner.multiply_adds.max(1);
        (multiply_adds as f64 / each as f64).round().max(1.0) as usize
    }

    /// The share of multiply-adds in one turn of the loop around it, in which it takes `turns`.
    pub fn block_share(&self, turns: usize) -> f64 {
        let outer = self.outer.unwrap_or_default();
        share(
            outer.multiply_adds + turns * self.inner.multiply_adds,
            outer.instructions + turns * self.inner.instructions,
        )
    }
}

/// First and last instruction of a loop: where it jumps back to, and from.
type Loop = (usize, usize);

/// Reads a program; without a loop all of it counts as one.
pub fn read(text: &str, dialect: Dialect) -> HotLoop {
    let (instructions, labels) = parse(text, dialect);
    let at = |label: &String| {
        labels
            .iter()
            .find(|(name, _)| name == label)
            .map(|(_, at)| *at)
    };
    let mut loops: Vec<Loop> = Vec::new();
    for (i, instruction) in instructions.iter().enumerate() {
        // Several jumps back to one label are one loop; a jump to itself ends a program.
        let Some(begin) = instruction
            .target
            .as_ref()
            .and_then(at)
            .filter(|&at| at < i)
        else {
            continue;
        };
        match loops.iter_mut().find(|(other, _)| *other == begin) {
            Some((_, end)) => *end = i,
            None => loops.push((begin, i)),
        }
    }
    let own = |of: &Loop| -> Vec<&Instruction> {
        let inside = |other: &Loop| other != of && of.0 <= other.0 && other.1 <= of.1;
        let inner: Vec<&Loop> = loops.iter().filter(|other| inside(other)).collect();
        let held = |i: usize| {
            inner
                .iter()
                .any(|(begin, end)| (*begin..=*end).contains(&i))
        };
        let indices = (of.0..=of.1).filter(|&i| !held(i));
        indices.map(|i| &instructions[i]).collect()
    };
    let all = Counts::of(&instructions.iter().collect::<Vec<_>>());
    let heat = |of: &&Loop| {
        let counts = Counts::of(&own(of));
        (counts.multiply_adds, usize::MAX - counts.instructions)
    };
    let Some(hot) = loops.iter().max_by_key(heat) else {
        return HotLoop {
            inner: all,
            outer: None,
            all,
            loops: Vec::new(),
            text: instructions.into_iter().map(|i| i.line).collect(),
        };
    };
    let around = |other: &&Loop| *other != hot && other.0 <= hot.0 && hot.1 <= other.1;
    let outer = loops
        .iter()
        .filter(around)
        .min_by_key(|other| other.1 - other.0);
    HotLoop {
        inner: Counts::of(&own(hot)),
        outer: outer.map(|outer| Counts::of(&own(outer))),
        all,
        loops: loops.iter().map(|of| Counts::of(&own(of))).collect(),
        text: own(hot).iter().map(|i| i.line.clone()).collect(),
    }
}

/// Its instructions, and the number of the one after each label.
fn parse(text: &str, dialect: Dialect) -> (Vec<Instruction>, Vec<(String, usize)>) {
    let (mut instructions, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let line = line.split(';').next().unwrap_or_default().trim();
        if let Some(label) = line.strip_suffix(':') {
            labels.push((label.to_owned(), instructions.len()));
            continue;
        }
        let line = match dialect {
            Dialect::Amd => line,
            // `/*0080*/ @!P0 FFMA R1, ..`
            Dialect::Nvidia => match line.split_once("*/") {
                Some((address, rest)) if address.starts_with("/*") => {
                    let rest = rest.trim();
                    match rest.strip_prefix('@') {
                        Some(guarded) => guarded.split_once(' ').map_or("", |(_, rest)| rest),
                        None => rest,
                    }
                }
                _ => continue,
            },
        };
        let line = line.trim();
        let mnemonic = line.split_whitespace().next().unwrap_or_default();
        let begins = |c: char| match dialect {
            Dialect::Amd => c.is_ascii_lowercase(),
            Dialect::Nvidia => c.is_ascii_uppercase(),
        };
        if !mnemonic.starts_with(begins) {
            continue;
        }
        instructions.push(Instruction {
            kind: kind(mnemonic, line, dialect),
            target: target(mnemonic, line, dialect),
            line: line.to_owned(),
        });
    }
    (instructions, labels)
}

fn target(mnemonic: &str, line: &str, dialect: Dialect) -> Option<String> {
    let (jumps, prefix) = match dialect {
        Dialect::Amd => (["s_branch", "s_cbranch"], "BB"),
        Dialect::Nvidia => (["BRA", "BRX"], ".L_x_"),
    };
    if !jumps.iter().any(|jump| mnemonic.starts_with(jump)) {
        return None;
    }
    let mut words = line.split([' ', '`', '(', ')', ',']);
    words
        .find(|word| word.starts_with(prefix))
        .map(str::to_owned)
}

fn kind(mnemonic: &str, line: &str, dialect: Dialect) -> Kind {
    let any = |prefixes: &[&str]| prefixes.iter().any(|prefix| mnemonic.starts_with(prefix));
    match dialect {
        Dialect::Amd => {
            if any(&[
                "v_fma", "v_pk_fma", "v_mac", "v_mad_f", "v_madmk", "v_madak", "v_dot", "v_wmma",
                "v_mfma",
            ]) {
                Kind::MultiplyAdd(1)
            } else if any(&["v_dual_"]) {
                // Two instructions in one: `v_dual_fmac_f32 .. :: v_dual_mov_b32 ..`
                match line.matches("v_dual_fma").count() {
                    0 => Kind::Other,
                    count => Kind::MultiplyAdd(count),
                }
            } else if any(&["ds_read", "ds_load"]) {
                Kind::SharedLoad(shared_bytes(mnemonic))
            } else if any(&["buffer_load", "global_load", "flat_load"]) {
                let wide = mnemonic.ends_with("dwordx4") || mnemonic.ends_with("b128");
                Kind::GlobalLoad { wide }
            } else if any(&["s_waitcnt"]) {
                Kind::Wait
            } else if any(&["v_mul_lo_u32", "v_mul_hi_u32", "v_mad_u64"]) {
                Kind::Multiply
            } else if any(&["v_rcp"]) {
                Kind::Reciprocal
            } else {
                Kind::Other
            }
        }
        Dialect::Nvidia => {
            if any(&["FFMA", "HFMA2", "HMMA", "IMMA", "WGMMA"]) {
                Kind::MultiplyAdd(1)
            } else if any(&["LDS"]) {
                Kind::SharedLoad(shared_bytes(mnemonic))
            } else if any(&["LDG"]) {
                Kind::GlobalLoad {
                    wide: mnemonic.contains(".128"),
                }
            } else if any(&["BAR", "DEPBAR"]) {
                Kind::Wait
            } else if any(&["IMAD.WIDE", "IMAD.HI"]) {
                Kind::Multiply
            } else if any(&["MUFU.RCP"]) {
                Kind::Reciprocal
            } else {
                Kind::Other
            }
        }
    }
}

/// Bytes that a load of workgroup memory brings an invocation, by its name: `ds_read_b128`,
/// `ds_read2st64_b32`, `LDS.64`.
fn shared_bytes(mnemonic: &str) -> usize {
    let each = ["128", "96", "64"].into_iter().find(|bits| {
        let ending = [format!("_b{bits}"), format!(".{bits}")];
        ending
            .iter()
            .any(|ending| mnemonic.ends_with(ending.as_str()))
    });
    let bits = each.map_or(32, |bits| bits.parse().unwrap_or(32));
    let twice = mnemonic.starts_with("ds_read2") || mnemonic.starts_with("ds_load_2addr");
    bits / 8 * if twice { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMD: &str = "\
BB0:
	s_mov_b32 s0, 0                                             ; bf
BB1:
	buffer_load_dwordx4 v[0:3], v4, s[0:3], 0 offen             ; e0
	s_waitcnt vmcnt(0)                                          ; bf
BB2:
	ds_read_b128 v[8:11], v12                                   ; db
	v_fmac_f32_e32 v20, v0, v8                                  ; 56
	v_fma_f32 v21, v1, v9, v21                                  ; d5
	s_cbranch_scc0 BB2                                          ; bf
	buffer_load_dword v5, v4, s[0:3], 0 offen                   ; e0
	v_mul_lo_u32 v3, 12, v17                                    ; d5
	s_branch BB1                                                ; bf
";

    #[test]
    fn loops_are_counted_without_those_inside() {
        let hot = read(AMD, Dialect::Amd);
        assert_eq!(hot.inner.instructions, 4);
        assert_eq!((hot.inner.multiply_adds, hot.inner.shared_loads), (2, 1));
        assert_eq!(hot.inner.shared_bytes, 16);
        let outer = hot.outer.unwrap();
        assert_eq!(
            (outer.instructions, outer.global_loads, outer.wide_loads),
            (5, 2, 1)
        );
        assert_eq!((outer.early_waits, outer.multiplications), (1, 1));
        assert_eq!(hot.all.instructions, 10);
        assert!((hot.inner.share() - 0.5).abs() < 1e-12);
        assert!((hot.block_share(2) - 4.0 / 13.0).abs() < 1e-12);
        assert_eq!(hot.text.len(), 4);
        let narrow: Vec<usize> = hot.loops.iter().map(Counts::narrow_loads).collect();
        assert_eq!(narrow, [0, 1]);
    }

    const NVIDIA: &str = "\
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/                   LDG.E.128 R4, [R2.64] ;
        /*0020*/              @!P0 FFMA R8, R4, R5, R8 ;
        /*0030*/               @P0 BRA `(.L_x_1) ;
";

    #[test]
    fn guards_and_labels_of_nvidia_are_read() {
        let hot = read(NVIDIA, Dialect::Nvidia);
        assert_eq!((hot.inner.instructions, hot.inner.multiply_adds), (3, 1));
        assert_eq!(hot.inner.wide_loads, 1);
    }

    #[test]
    fn loads_have_their_bytes_and_dual_instructions_both_halves() {
        for (mnemonic, bytes) in [
            ("ds_read_b32", 4),
            ("ds_read2st64_b32", 8),
            ("ds_load_b96", 12),
            ("ds_read2_b64", 16),
            ("LDS.128", 16),
            ("LDS", 4),
        ] {
            assert_eq!(shared_bytes(mnemonic), bytes, "{mnemonic}");
        }
        let dual = "v_dual_fmac_f32 v0, v1, v2 :: v_dual_fmac_f32 v3, v4, v5";
        let other = "v_dual_mov_b32 v0, v1 :: v_dual_add_f32 v3, v4, v5";
        let hot = read(&format!("{dual}\n{other}"), Dialect::Amd);
        assert_eq!((hot.inner.instructions, hot.inner.multiply_adds), (2, 2));
    }

    #[test]
    fn a_program_without_a_loop_is_one() {
        let hot = read(
            "BB0:\n\tv_add_f32_e32 v0, v1, v2\n\ts_endpgm\n",
            Dialect::Amd,
        );
        assert_eq!((hot.inner.instructions, hot.outer), (2, None));
        assert_eq!(hot.loops, []);
    }
}

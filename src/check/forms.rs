//! The ways in which cases run on an adapter.

use crate::kernel::{Body, Matrices, Tile};

/// How cases run.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub name: &'static str,
    pub body: Option<Body>,
    pub matrices: Option<Matrices>,
    pub tile: Option<Tile>,
    pub windows: Option<bool>,
    pub max_workgroups: Option<u32>,
    /// Few turns of loops, so that small cases take several dispatches where large ones must.
    pub max_turns: Option<u64>,
    pub fuse: bool,
    /// Whether values are cut into parts.
    pub cut: bool,
    /// Bytes of all values of the largest case that runs so: slow ways are for small ones.
    pub most: u64,
}

impl Form {
    /// Whether nothing is cut, and the rules choose the tiles.
    pub fn is_plain(&self) -> bool {
        let uncut = !self.cut && self.max_workgroups.is_none() && self.max_turns.is_none();
        uncut && self.tile.is_none()
    }

    /// For messages.
    pub fn describe(&self) -> String {
        match self.tile {
            Some(tile) => format!("{}, {tile:?} tiles", self.name),
            None => self.name.to_owned(),
        }
    }
}

/// As an adapter runs by itself.
const PLAIN: Form = Form {
    name: "plain",
    body: None,
    matrices: None,
    tile: None,
    windows: None,
    max_workgroups: None,
    max_turns: None,
    fuse: true,
    cut: false,
    most: u64::MAX,
};
const REGISTERS: Form = Form {
    name: "registers",
    body: Some(Body::Registers),
    ..PLAIN
};
const SHARED: Form = Form {
    name: "shared",
    body: Some(Body::Shared),
    ..PLAIN
};
const STORAGE: Form = Form {
    windows: Some(false),
    ..REGISTERS
};
const WINDOWS: Form = Form {
    name: "windows",
    windows: Some(true),
    ..REGISTERS
};

/// Cooperative matrices, written out.
const WRITTEN_OUT: Form = Form {
    name: "plain matrices",
    body: Some(Body::Cooperative),
    matrices: Some(Matrices::Plain),
    most: 256 << 10,
    ..PLAIN
};
/// Those of the device.
pub const UNITS: Form = Form {
    name: "matrices",
    body: Some(Body::Cooperative),
    ..PLAIN
};

/// A form with every tile of this size.
const fn tiled(tile: Tile, form: Form) -> Form {
    let tile = Some(tile);
    Form { tile, ..form }
}

/// A form with loops cut into pieces.
const fn in_pieces(name: &'static str, form: Form) -> Form {
    Form {
        name,
        max_turns: Some(300),
        // Long cases are cut where nothing is lowered.
        most: 128 << 10,
        ..form
    }
}

/// On every adapter.
pub const FORMS: [Form; 21] = [
    STORAGE,
    WINDOWS,
    SHARED,
    Form {
        name: "unfused",
        fuse: false,
        ..PLAIN
    },
    Form {
        name: "registers in parts",
        cut: true,
        ..REGISTERS
    },
    Form {
        name: "shared in parts",
        cut: true,
        ..SHARED
    },
    Form {
        name: "folded",
        max_workgroups: Some(3),
        ..SHARED
    },
    in_pieces("storage in pieces", STORAGE),
    in_pieces("windows in pieces", WINDOWS),
    in_pieces("shared in pieces", SHARED),
    tiled(Tile::Small, STORAGE),
    tiled(Tile::Medium, STORAGE),
    tiled(Tile::Large, STORAGE),
    tiled(Tile::Small, WINDOWS),
    tiled(Tile::Medium, WINDOWS),
    tiled(Tile::Large, WINDOWS),
    tiled(Tile::Small, SHARED),
    tiled(Tile::Medium, SHARED),
    tiled(Tile::Large, SHARED),
    WRITTEN_OUT,
    Form {
        name: "plain matrices in parts, folded",
        max_workgroups: Some(3),
        cut: true,
        most: 64 << 10,
        ..WRITTEN_OUT
    },
];

/// More of them, on a device with cooperative matrices.
pub const FORMS_OF_UNITS: [Form; 4] = [
    UNITS,
    Form {
        name: "matrices in parts, folded",
        max_workgroups: Some(3),
        cut: true,
        ..UNITS
    },
    tiled(Tile::Small, UNITS),
    tiled(Tile::Large, UNITS),
];

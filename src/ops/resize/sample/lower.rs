//! The kernels of sampling on grids, row by row.

use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Overrides, looped, overlaps, source, turns_within,
};
use crate::lowering::{Cut, variant};
use crate::shape::Type;

use super::{GridSample, GridSampleGradGrid, GridSampleGradInput, SampleMode, SamplePadding};

impl GridSample {
    fn variant(&self, kernel: &Kernel) -> Overrides {
        let nearest = usize::from(self.mode == SampleMode::Nearest);
        let padding = match self.padding {
            SamplePadding::Zeros => 0,
            SamplePadding::Border => 1,
            SamplePadding::Reflection => 2,
        };
        variant(kernel, &[("nearest", nearest), ("padding", padding)])
    }

    /// Appends how places are found in images of this height and width.
    fn params(&self, mut dispatch: Dispatch, input: [usize; 2]) -> Dispatch {
        for (names, extent) in AXES.into_iter().zip(input) {
            let axis = self.axis(extent);
            let [name, scale, shift, low, span] = names;
            dispatch = dispatch
                .param(name, extent)
                .param_f32(scale, axis.scale as f32)
                .param_f32(shift, axis.shift as f32)
                .param_f32(low, axis.low as f32)
                .param_f32(span, axis.span as f32);
        }
        dispatch
    }

    pub(super) fn lower_forward(&self, io: &Io, out: &mut Lowering) {
        let (x, grid, y) = (Cut::input(io, 0), Cut::input(io, 1), Cut::output(io, 0));
        let (channels, places) = (y.shape[1], y.shape[2] * y.shape[3]);
        for rows in overlaps(&[x.parts, grid.parts, y.parts]) {
            let count = rows.count * y.row();
            let dispatch = Dispatch::new(&FORWARD, self.variant(&FORWARD))
                .read(x.operand)
                .part(rows.part[0])
                .read(grid.operand)
                .part(rows.part[1])
                .write(y.operand)
                .part(rows.part[2])
                .param("count", count)
                .param("channels", channels)
                .param("places", places)
                .param("x_base", rows.first[0] * x.row())
                .param("grid_base", rows.first[1] * grid.row())
                .param("y_base", rows.first[2] * y.row());
            let dispatch = self.params(dispatch, [x.shape[2], x.shape[3]]);
            out.push(dispatch.workgroups(count.div_ceil(WORKGROUP)));
        }
    }
}

impl GridSampleGradInput {
    /// First where the places of each run of the grid lie, so that an element need not look at runs
    /// that are elsewhere.
    pub(super) fn lower_input(&self, io: &Io, caps: &Caps, out: &mut Lowering) {
        let (dy, grid, dx) = (Cut::input(io, 0), Cut::input(io, 1), Cut::output(io, 0));
        let (channels, places) = (dy.shape[1], dy.shape[2] * dy.shape[3]);
        let runs = places.div_ceil(RUN);
        let most = turns_within(caps.max_turns, looped(RUN, 0));
        for rows in overlaps(&[dy.parts, grid.parts, dx.parts]) {
            let boxes = out.scratch(Type::u32([rows.count * runs.max(1), 4]));
            let count = rows.count * runs;
            let dispatch = Dispatch::new(&BOXES, self.sample.variant(&BOXES))
                .read(grid.operand)
                .part(rows.part[1])
                .write(boxes)
                .param("count", count)
                .param("runs", runs)
                .param("places", places)
                .param("grid_base", rows.first[1] * grid.row());
            let dispatch = self.sample.params(dispatch, self.input);
            out.push(
                dispatch
                    .turns(looped(RUN, 0))
                    .workgroups(count.div_ceil(WORKGROUP)),
            );
            let blocks = channels.div_ceil(CHANNELS);
            let count = rows.count * blocks * self.input[0] * self.input[1];
            for from in (0..runs.max(1)).step_by(most) {
                let to = runs.min(from + most);
                let dispatch = Dispatch::new(&INPUT, self.sample.variant(&INPUT))
                    .read(dy.operand)
                    .part(rows.part[0])
                    .read(grid.operand)
                    .part(rows.part[1])
                    .read(boxes)
                    .write(dx.operand)
                    .part(rows.part[2])
                    .param("count", count)
                    .param("channels", channels)
                    .param("blocks", blocks)
                    .param("places", places)
                    .param("runs", runs)
                    .param("begin", from)
                    .param("until", to)
                    .param("dy_base", rows.first[0] * dy.row())
                    .param("grid_base", rows.first[1] * grid.row())
                    .param("dx_base", rows.first[2] * dx.row());
                let dispatch = self.sample.params(dispatch, self.input);
                out.push(
                    dispatch
                        .turns(looped(to - from, looped(RUN, 0)))
                        .workgroups(count.div_ceil(WORKGROUP)),
                );
            }
        }
    }
}

impl GridSampleGradGrid {
    pub(super) fn lower_grid(&self, io: &Io, caps: &Caps, out: &mut Lowering) {
        let [x, grid, dy] = [0, 1, 2].map(|i| Cut::input(io, i));
        let dgrid = Cut::output(io, 0);
        let (channels, places) = (dy.shape[1], dy.shape[2] * dy.shape[3]);
        let most = turns_within(caps.max_turns, 0);
        for rows in overlaps(&[x.parts, grid.parts, dy.parts, dgrid.parts]) {
            let count = rows.count * places;
            for from in (0..channels.max(1)).step_by(most) {
                let to = channels.min(from + most);
                let dispatch = Dispatch::new(&GRID, self.sample.variant(&GRID))
                    .read(x.operand)
                    .part(rows.part[0])
                    .read(grid.operand)
                    .part(rows.part[1])
                    .read(dy.operand)
                    .part(rows.part[2])
                    .write(dgrid.operand)
                    .part(rows.part[3])
                    .param("count", count)
                    .param("channels", channels)
                    .param("places", places)
                    .param("begin", from)
                    .param("until", to)
                    .param("x_base", rows.first[0] * x.row())
                    .param("grid_base", rows.first[1] * grid.row())
                    .param("dy_base", rows.first[2] * dy.row())
                    .param("dgrid_base", rows.first[3] * dgrid.row());
                let dispatch = self.sample.params(dispatch, [x.shape[2], x.shape[3]]);
                out.push(
                    dispatch
                        .turns(looped(to - from, 0))
                        .workgroups(count.div_ceil(WORKGROUP)),
                );
            }
        }
    }
}

const WORKGROUP: usize = 64;
/// Channels whose gradients one invocation sums.
pub(super) const CHANNELS: usize = 4;
/// Places of the grid whose reach is told at once.
const RUN: usize = 64;

/// Names of what is known of height and width.
const AXES: [[&str; 5]; 2] = [
    ["height", "scale_y", "shift_y", "low_y", "span_y"],
    ["width", "scale_x", "shift_x", "low_x", "span_x"],
];

const fn overrides(nearest: u32, padding: u32) -> [(&'static str, u32); 3] {
    [
        ("nearest", nearest),
        ("padding", padding),
        ("workgroup_size", 64),
    ]
}

const VARIANTS: &[Overrides] = &[
    &overrides(0, 0),
    &overrides(0, 1),
    &overrides(0, 2),
    &overrides(1, 0),
    &overrides(1, 1),
    &overrides(1, 2),
];
const BILINEAR: &[Overrides] = &[&overrides(0, 0), &overrides(0, 1), &overrides(0, 2)];

static FORWARD: Kernel = Kernel::new(
    "grid_sample",
    &[source!("resize/grid_sample"), source!("resize/grid_place")],
    VARIANTS,
);
static BOXES: Kernel = Kernel::new(
    "grid_boxes",
    &[source!("resize/grid_boxes"), source!("resize/grid_place")],
    VARIANTS,
);
static INPUT: Kernel = Kernel::new(
    "grid_sample_grad_input",
    &[
        source!("resize/grid_sample_grad_input"),
        source!("resize/grid_place"),
    ],
    VARIANTS,
);
static GRID: Kernel = Kernel::new(
    "grid_sample_grad_grid",
    &[
        source!("resize/grid_sample_grad_grid"),
        source!("resize/grid_place"),
    ],
    BILINEAR,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&FORWARD, &BOXES, &INPUT, &GRID];

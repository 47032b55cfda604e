// Provider of within: the part of a run, of which every `step`th counts, that a piece takes; all of
// it unless cut.

fn within(run: Run, step: u32, piece: u32, taps: u32) -> Run {
    if cut == 0u {
        return run;
    }
    let begin = run.begin + piece * taps * step;
    return Run(begin, min(run.end, begin + taps * step));
}

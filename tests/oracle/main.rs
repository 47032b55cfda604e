//! The reference against PyTorch: outputs and gradients of the cases in `cases.json`, which
//! `make.py` wrote with PyTorch's numbers.

mod activations;
mod build;
mod choices;
mod convs;
mod indices;
mod joins;
mod losses;
mod networks;
mod norms;
mod pools;
mod reductions;
mod resizes;
mod train;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;
use striate::autodiff::gradients_from;
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::interop::safetensors;
use striate::reference::evaluate;
use striate::shape::DType;
use striate::tensor::{Array, Tensor};

/// How far an element may lie from PyTorch's, relative to itself.
const RELATIVE: f64 = 1e-5;
/// What is added to that, relative to the largest element: PyTorch's numbers are rounded to `f32`
/// here, sums cancel.
const OF_LARGEST: f64 = 1e-7;

/// Every one of these must have been compared.
const FAMILIES: [&str; 28] = [
    "activation",
    "adaptive pooling",
    "average",
    "average pooling",
    "batch norm",
    "choice",
    "clipping",
    "convolution",
    "elementwise",
    "group norm",
    "indexing",
    "instance norm",
    "joining",
    "layer norm",
    "local response norm",
    "loss",
    "max pooling",
    "network",
    "optimizer",
    "power pooling",
    "product",
    "reduction",
    "resizing",
    "rms norm",
    "scheduler",
    "softmax",
    "transposed convolution",
    "unpooling",
];

/// One call of a function of PyTorch.
pub struct Example {
    name: String,
    family: String,
    /// The function's name.
    op: String,
    /// Its options, in PyTorch's words.
    options: Options,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// The inputs of which there are gradients.
    gradients: Vec<String>,
    /// Inputs, outputs, `d_OUTPUT` and `grad_INPUT`.
    tensors: HashMap<String, Tensor>,
}

impl Example {
    fn tensor(&self, name: &str) -> &Tensor {
        let found = self.tensors.get(name);
        found.unwrap_or_else(|| panic!("{} has no tensor {name}", self.name))
    }

    fn array(&self, name: &str) -> Array {
        self.tensor(name).to_array().unwrap()
    }
}

/// Options by name; one that is missing or of another kind is an error of the test.
pub struct Options(Json);

impl Options {
    fn get(&self, name: &str) -> &Json {
        let found = self.0.get(name);
        found.unwrap_or_else(|| panic!("no option {name} in {}", self.0))
    }

    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    fn number(&self, name: &str) -> f64 {
        let value = self.get(name).as_f64();
        value.unwrap_or_else(|| panic!("{name} of {} is no number", self.0))
    }

    /// A number, or this one if it is not given.
    fn number_or(&self, name: &str, default: f64) -> f64 {
        if self.has(name) {
            self.number(name)
        } else {
            default
        }
    }

    fn whole(&self, name: &str) -> usize {
        self.number(name) as usize
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name) == &Json::Bool(true)
    }

    fn flags<const N: usize>(&self, name: &str) -> [bool; N] {
        let flags = self.get(name).as_array();
        let flags = flags.unwrap_or_else(|| panic!("{name} of {} is no list", self.0));
        std::array::from_fn(|i| flags[i] == Json::Bool(true))
    }

    fn text(&self, name: &str) -> &str {
        let value = self.get(name).as_str();
        value.unwrap_or_else(|| panic!("{name} of {} is no text", self.0))
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        let list = self.get(name).as_array();
        let list = list.unwrap_or_else(|| panic!("{name} of {} is no list", self.0));
        list.iter().map(|value| value.as_f64().unwrap()).collect()
    }

    fn list(&self, name: &str) -> Vec<usize> {
        self.numbers(name).into_iter().map(|x| x as usize).collect()
    }

    /// Pairs such as padding as (before, after) for each axis.
    fn pairs(&self, name: &str) -> Vec<[usize; 2]> {
        let pairs = self.get(name).as_array().unwrap().iter();
        let side = |pair: &Json, i: usize| pair[i].as_u64().unwrap() as usize;
        pairs.map(|pair| [side(pair, 0), side(pair, 1)]).collect()
    }

    /// An axis, from the last one on if it is negative.
    fn dim(&self) -> i64 {
        self.number("dim") as i64
    }

    /// Axes, from the last one on where they are negative.
    fn dims(&self, name: &str) -> Vec<i64> {
        self.numbers(name).into_iter().map(|x| x as i64).collect()
    }

    fn axes<const N: usize>(&self, name: &str) -> [usize; N] {
        let list = self.list(name);
        list.try_into()
            .unwrap_or_else(|list| panic!("{name} is {list:?}, {N} numbers are needed"))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle")
}

fn examples() -> Vec<Example> {
    let text = std::fs::read_to_string(folder().join("cases.json")).unwrap();
    let mut json: Json = serde_json::from_str(&text).unwrap();
    let mut tensors: HashMap<String, HashMap<String, Tensor>> = HashMap::new();
    for (path, tensor) in safetensors::load(folder().join("tensors.safetensors")).unwrap() {
        let (case, name) = path.rsplit_once('/').unwrap();
        let own = tensors.entry(case.to_owned()).or_default();
        own.insert(name.to_owned(), tensor);
    }
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let texts = |json: &Json| json.as_array().unwrap().iter().map(text).collect();
    let cases = json["cases"].as_array_mut().unwrap().iter_mut();
    let examples = cases.map(|case| {
        let name = text(&case["name"]);
        Example {
            family: text(&case["family"]),
            op: text(&case["op"]),
            options: Options(case["options"].take()),
            inputs: texts(&case["inputs"]),
            outputs: texts(&case["outputs"]),
            gradients: texts(&case["gradients"]),
            tensors: tensors.remove(&name).unwrap_or_default(),
            name,
        }
    });
    examples.collect()
}

/// Names of results with the arrays that striate's reference gives.
type Results = Vec<(String, Array)>;

/// The outputs and gradients of an op that is one piece of graph.
fn run_graph(example: &Example) -> Result<Results> {
    let mut g = Graph::new();
    let mut given = HashMap::new();
    let mut inputs = HashMap::new();
    for name in &example.inputs {
        let tensor = example.tensor(name);
        let value = g.input(name, tensor.ty().clone())?;
        given.insert(value, Arc::new(tensor.to_array()?));
        inputs.insert(name.clone(), value);
    }
    let outputs = build::build(&mut g, example, &inputs)?;
    assert_eq!(outputs.len(), example.outputs.len(), "{}", example.name);
    let mut seeds = Vec::new();
    if !example.gradients.is_empty() {
        for (&output, name) in outputs.iter().zip(&example.outputs) {
            let name = format!("d_{name}");
            if let Some(dy) = example.tensors.get(&name) {
                let value = g.input(&name, dy.ty().clone())?;
                given.insert(value, Arc::new(dy.to_array()?));
                seeds.push((output, value));
            }
        }
    }
    let wrt: Vec<Value> = example.gradients.iter().map(|name| inputs[name]).collect();
    let mut names = example.outputs.clone();
    let mut wanted = outputs;
    for (name, gradient) in example
        .gradients
        .iter()
        .zip(gradients_from(&mut g, &seeds, &wrt)?)
    {
        names.push(format!("grad_{name}"));
        wanted.push(gradient.unwrap_or_else(|| panic!("{}: no gradient of {name}", example.name)));
    }
    let found = evaluate(&g, &given, &wanted, 1)?;
    let found = found.iter().map(|array| array.as_ref().clone());
    Ok(names.into_iter().zip(found).collect())
}

fn run(example: &Example) -> Result<Results> {
    match example.family.as_str() {
        "optimizer" | "scheduler" | "clipping" | "average" => train::run(example),
        _ => run_graph(example),
    }
}

/// The largest error in units of the tolerance.
fn compare(got: &Array, want: &Array) -> std::result::Result<f64, String> {
    if got.shape() != want.shape() || got.ty().dtype != want.ty().dtype {
        return Err(format!("{} instead of {}", got.ty(), want.ty()));
    }
    if want.ty().dtype != DType::F32 {
        let equal = got == want;
        return if equal {
            Ok(0.0)
        } else {
            Err(format!("{got:?} instead of {want:?}"))
        };
    }
    let finite = want.floats().iter().filter(|x| x.is_finite());
    let largest = finite.fold(0.0, |most, x| x.abs().max(most));
    let mut worst = 0.0f64;
    for (i, (&a, &b)) in got.floats().iter().zip(want.floats()).enumerate() {
        let tolerance = RELATIVE * b.abs() + OF_LARGEST * largest;
        let error = (a - b).abs();
        let near = if b.is_finite() {
            error <= tolerance
        } else {
            a == b || (a.is_nan() && b.is_nan())
        };
        if !near {
            return Err(format!("element {i} is {a} instead of {b}"));
        }
        if b.is_finite() && error > 0.0 {
            worst = worst.max(error / tolerance);
        }
    }
    Ok(worst)
}

#[test]
fn the_reference_agrees_with_pytorch() {
    let mut wrong = Vec::new();
    let mut worst: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    let mut compared = 0;
    for example in examples() {
        let name = &example.name;
        let results = match run(&example) {
            Ok(results) => results,
            Err(e) => {
                wrong.push(format!("{name}: {e}"));
                continue;
            }
        };
        let (cases, most) = worst.entry(example.family.clone()).or_default();
        *cases += 1;
        for (result, got) in results {
            compared += 1;
            match compare(&got, &example.array(&result)) {
                Ok(units) => *most = most.max(units),
                Err(message) => wrong.push(format!("{name}: {result}: {message}")),
            }
        }
    }
    for (family, (cases, units)) in &worst {
        println!("{family}: {cases} cases, worst error {units:.4} of the tolerance");
    }
    let cases: usize = worst.values().map(|(cases, _)| cases).sum();
    println!("{cases} cases, {compared} tensors");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<_> = FAMILIES
        .iter()
        .filter(|family| !worst.contains_key(**family))
        .collect();
    assert!(missing.is_empty(), "no case of {missing:?}");
    assert!(cases >= 600, "{cases} cases");
}

#[test]
fn wrong_numbers_are_told() {
    let want = Array::float([3], vec![1.0, -2.0, 1e-3]);
    let near = Array::float([3], vec![1.000001, -2.000001, 1e-3]);
    assert!(compare(&near, &want).unwrap() < 1.0);
    for (i, value) in [(0, 1.00002), (1, 2.0), (2, 1.001e-3), (2, f64::NAN)] {
        let mut values = want.floats().to_vec();
        values[i] = value;
        compare(&Array::float([3], values), &want).unwrap_err();
    }
    compare(&want.reshaped([3, 1]), &want).unwrap_err();
    // Infinities and NaN meet their like only, and loosen nothing beside them.
    let special = [1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let want = Array::float([4], special.to_vec());
    assert!(compare(&want, &want).unwrap() < 1.0);
    for (i, value) in [
        (0, 1.001),
        (0, f64::INFINITY),
        (0, f64::NAN),
        (1, 1e38),
        (1, f64::NEG_INFINITY),
        (1, f64::NAN),
        (2, f64::INFINITY),
        (3, 0.0),
        (3, f64::INFINITY),
    ] {
        let mut values = special.to_vec();
        values[i] = value;
        compare(&Array::float([4], values), &want).unwrap_err();
    }
}

//! Matrix products.

use tch::{Kind, Tensor};

use super::{Inputs, Op, broadcast_shape, check_size, text};
use crate::attributes::{Source, Wrong, required};

/// `alpha · A · B + beta · C`, with `A` and `B` transposed or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gemm {
    pub(crate) alpha: f64,
    pub(crate) beta: f64,
    pub(crate) transpose_a: bool,
    pub(crate) transpose_b: bool,
}

/// A linear layer whose weights are known.
#[derive(Debug)]
pub(crate) struct Linear {
    /// `[outputs, inputs]`.
    pub(crate) weight: Tensor,
    /// `[outputs]`.
    pub(crate) bias: Tensor,
}

pub(super) fn read(source: &Source<'_>) -> Result<Option<Op>, Wrong> {
    Ok(Some(match source.operator() {
        "Gemm" => Op::Gemm(Gemm {
            alpha: source.float_or("alpha", 1.0)?,
            beta: source.float_or("beta", 1.0)?,
            transpose_a: source.flag("transA", false)?,
            transpose_b: source.flag("transB", false)?,
        }),
        "MatMul" => Op::MatMul,
        "Einsum" => Op::Einsum(required("equation", source.string("equation")?)?),
        _ => return Ok(None),
    }))
}

pub(super) fn run(op: &Op, inputs: &Inputs<'_>) -> Result<Tensor, Wrong> {
    let a = inputs.need(0)?;
    match op {
        Op::Gemm(gemm) => {
            let b = inputs.need(1)?;
            if a.dim() != 2 || b.dim() != 2 {
                return Err(format!("{:?} and {:?} are not two matrices", a.size(), b.size()));
            }
            let transposed =
                |x: &Tensor, is: bool| if is { x.transpose(0, 1) } else { x.shallow_clone() };
            let (a, b) = (transposed(a, gemm.transpose_a), transposed(b, gemm.transpose_b));
            check_size(&[a.size()[0], b.size()[1]])?;
            let mut y = a.f_matmul(&b).map_err(text)?;
            if (gemm.alpha - 1.0).abs() > f64::EPSILON {
                y = y.f_mul_scalar(gemm.alpha).map_err(text)?;
            }
            let Some(c) = inputs.get(2) else { return Ok(y) };
            check_size(&broadcast_shape(&y.size(), &c.size())?)?;
            c.f_mul_scalar(gemm.beta).and_then(|c| y.f_add(&c)).map_err(text)
        }
        Op::MatMul => {
            let b = inputs.need(1)?;
            let (left, right) = (a.size(), b.size());
            if left.is_empty() || right.is_empty() {
                return Err("a single number is no matrix".into());
            }
            let batch = |size: &[i64]| size[..size.len().saturating_sub(2)].to_vec();
            let mut shape = broadcast_shape(&batch(&left), &batch(&right))?;
            shape.push(if left.len() > 1 { left[left.len() - 2] } else { 1 });
            shape.push(if right.len() > 1 { right[right.len() - 1] } else { 1 });
            check_size(&shape)?;
            a.f_matmul(b).map_err(text)
        }
        Op::Einsum(equation) => einsum(equation, &inputs.all()?),
        Op::Linear(linear) => linear.run(a),
        _ => unreachable!("dispatched by Op::run"),
    }
}

fn einsum(equation: &str, inputs: &[&Tensor]) -> Result<Tensor, Wrong> {
    let equation: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (left, right) =
        equation.split_once("->").ok_or("an equation without an arrow is not supported")?;
    let mut sides = std::collections::BTreeMap::new();
    for (letters, input) in left.split(',').zip(inputs) {
        if letters.contains('.') {
            return Err("an ellipsis is not supported".into());
        }
        if letters.chars().count() != input.dim() {
            return Err(format!("`{letters}` is not for the shape {:?}", input.size()));
        }
        sides.extend(letters.chars().zip(input.size()));
    }
    let shape: Option<Vec<i64>> = right.chars().map(|letter| sides.get(&letter).copied()).collect();
    check_size(&shape.ok_or_else(|| format!("`{right}` has a letter that no input has"))?)?;
    Tensor::f_einsum(&equation, inputs, None::<i64>).map_err(text)
}

impl Linear {
    fn run(&self, x: &Tensor) -> Result<Tensor, Wrong> {
        let shape = x.size();
        let n_outputs = self.weight.size()[0];
        let (Some(&n_inputs), Some(rows)) = (shape.last(), shape.get(..shape.len() - 1)) else {
            return Err("a single number is no row".into());
        };
        check_size(&[rows, &[n_outputs]].concat())?;
        let is_wide = rows.len() > 1 && x.device() == tch::Device::Cpu && x.kind() == Kind::Float;
        if !is_wide {
            return x.f_linear(&self.weight, Some(&self.bias)).map_err(text);
        }
        // Many rows go through oneDNN as a 1 × 1 convolution over a channels-last view, which costs no copy and is twice
        // as fast on processors that MKL does not favor.
        let n: i64 = rows.iter().product();
        x.f_reshape([n, n_inputs, 1, 1])
            .and_then(|x| x.f_reshape([1, n, 1, n_inputs]))
            .and_then(|x| x.f_permute([0, 3, 1, 2]))
            .and_then(|x| {
                let weight = self.weight.f_view([n_outputs, n_inputs, 1, 1])?;
                x.f_conv2d(&weight, Some(&self.bias), [1, 1], [0, 0], [1, 1], 1)
            })
            .and_then(|y| y.f_permute([0, 2, 3, 1]))
            .and_then(|y| y.f_reshape([rows, &[n_outputs]].concat()))
            .map_err(text)
    }
}

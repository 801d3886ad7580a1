//! What makes a graph fast. Each pass changes results by rounding only, and leaves everything differentiable.
//!
//! `Pad` goes into the convolution behind it; batch normalizations, factors and offsets behind a convolution go into its
//! weights, in double precision; a shortcut and a ReLU behind a convolution are done with it, in one pass over memory;
//! matrix products with known weights become linear layers; activations that files spell out become one call. A value
//! that is protected, because the graph is cut there, is still made.

use std::collections::BTreeSet;
use std::rc::Rc;

use cam_core::Activation;
use tch::{Device, Kind, Tensor};

use crate::graph::{Graph, Node, Value};
use crate::ops::{Binary, Kernel, Linear, Op, PadMode, Padding, Unary, Window, is_relu6};

/// A graph being rewritten.
struct Rewrite<'a> {
    graph: &'a mut Graph,
    shapes: &'a [Option<Vec<i64>>],
    /// Values that must still be made.
    protected: BTreeSet<Value>,
    device: Device,
}

/// Rewrites a graph whose values have these shapes for the smallest batch.
pub(crate) fn optimize(
    graph: &mut Graph,
    shapes: &[Option<Vec<i64>>],
    cuts: &[Value],
    device: Device,
) {
    let _no_grad = tch::no_grad_guard();
    let mut protected: BTreeSet<Value> = graph.outputs.iter().copied().collect();
    protected.extend(cuts);
    let mut rewrite = Rewrite { graph, shapes, protected, device };
    rewrite.each(Rewrite::clamp);
    rewrite.each(Rewrite::pad);
    rewrite.each(Rewrite::convolution);
    rewrite.each(Rewrite::shortcut);
    rewrite.each(Rewrite::activated);
    rewrite.each(Rewrite::linear);
    rewrite.each(Rewrite::activation);
    rewrite.graph.prune();
    for tensor in rewrite.graph.constants.values_mut() {
        // Whole numbers say how and not what; they stay where they can be read.
        if tensor.is_floating_point() {
            *tensor = tensor.to_device(device);
        }
    }
}

impl Rewrite<'_> {
    /// Applies a pass at every node; nodes that a pass takes over are left out.
    fn each(&mut self, pass: fn(&mut Self, usize) -> Vec<usize>) {
        let mut gone = BTreeSet::new();
        for index in 0..self.graph.nodes.len() {
            if !gone.contains(&index) {
                gone.extend(pass(self, index));
            }
        }
        let mut index = 0;
        self.graph.nodes.retain(|_| {
            index += 1;
            !gone.contains(&(index - 1))
        });
    }

    fn node(&self, index: usize) -> &Node {
        &self.graph.nodes[index]
    }

    /// The only node that uses a value which nobody else needs.
    fn only_user(&self, value: Value) -> Option<usize> {
        if self.protected.contains(&value) {
            return None;
        }
        let is_user = |node: &Node| node.inputs.contains(&Some(value));
        let mut users = self.graph.nodes.iter().enumerate().filter(|(_, node)| is_user(node));
        let (index, node) = users.next()?;
        let n_uses = node.inputs.iter().filter(|input| **input == Some(value)).count();
        (users.next().is_none() && n_uses == 1).then_some(index)
    }

    fn constant(&self, node: &Node, input: usize) -> Option<&Tensor> {
        self.graph.constants.get(&node.inputs.get(input).copied().flatten()?)
    }

    fn number(&self, node: &Node, input: usize) -> Option<f64> {
        let tensor = self.constant(node, input)?;
        (tensor.numel() == 1).then(|| tensor.reshape([1]).double_value(&[0]))
    }

    /// `Clip` with known bounds.
    fn clamp(&mut self, index: usize) -> Vec<usize> {
        let node = self.node(index);
        if !matches!(*node.op, Op::Clip) {
            return vec![];
        }
        let bound = |input: usize, none: f64| match node.inputs.get(input).copied().flatten() {
            None => Some(none),
            Some(_) => self.number(node, input),
        };
        if let (Some(low), Some(high)) = (bound(1, f64::NEG_INFINITY), bound(2, f64::INFINITY)) {
            let op = if low == 0.0 && high == f64::INFINITY {
                Op::Unary(Unary::Relu)
            } else {
                Op::Clamp(low, high)
            };
            let node = &mut self.graph.nodes[index];
            node.inputs.truncate(1);
            node.op = Rc::new(op);
        }
        vec![]
    }

    /// Zeros laid around the input of a convolution.
    fn pad(&mut self, index: usize) -> Vec<usize> {
        let rewritten = || -> Option<(usize, Option<Value>, Window)> {
            let node = self.node(index);
            let Op::Pad { mode: PadMode::Constant, fixed } = &*node.op else { return None };
            let (pads, value) = if let Some((pads, value)) = fixed {
                (pads.clone(), *value)
            } else {
                let pads = crate::ops::ints(self.constant(node, 1)?).ok()?;
                let value = match node.inputs.get(2).copied().flatten() {
                    None => 0.0,
                    Some(_) => self.number(node, 2)?,
                };
                (pads, value)
            };
            let is_plain = node.inputs.get(3).copied().flatten().is_none()
                && value == 0.0
                && pads.len() == 8
                && pads.iter().all(|&zeros| zeros >= 0)
                && [0, 1, 4, 5].iter().all(|&axis| pads[axis] == 0);
            let user = self.only_user(node.outputs[0]?)?;
            let Op::Conv(window) = &*self.node(user).op else { return None };
            let is_its_input = self.node(user).inputs[0] == node.outputs[0];
            let own = match &window.padding {
                Padding::None => vec![0; 4],
                Padding::Fixed(own) if own.len() == 4 => own.clone(),
                _ => return None,
            };
            let around = [pads[2], pads[3], pads[6], pads[7]];
            let sum = own.iter().zip(around).map(|(own, zeros)| own + zeros).collect();
            let window = Window { padding: Padding::Fixed(sum), ..window.clone() };
            (is_plain && is_its_input).then(|| (user, node.inputs[0], window))
        };
        let Some((user, input, window)) = rewritten() else { return vec![] };
        let node = &mut self.graph.nodes[user];
        node.inputs[0] = input;
        node.op = Rc::new(Op::Conv(window));
        vec![index]
    }

    /// A convolution whose weights are known, with what can be folded into them.
    fn convolution(&mut self, index: usize) -> Vec<usize> {
        let node = self.node(index);
        let Op::Conv(window) = &*node.op else { return vec![] };
        let (Some(input), Some(output)) = (node.inputs[0], node.outputs[0]) else { return vec![] };
        let is_kernel = |weight: &&Tensor| weight.dim() == 4 && weight.kind() == Kind::Float;
        let Some(weight) = self.constant(node, 1).filter(is_kernel) else {
            return vec![];
        };
        let has_bias = node.inputs.get(2).copied().flatten().is_some();
        let bias = match self.constant(node, 2) {
            None if has_bias => return vec![],
            Some(bias) => bias.to_kind(Kind::Double),
            None => Tensor::zeros([weight.size()[0]], (Kind::Double, Device::Cpu)),
        };
        let Some(size) = self.shapes.get(input).and_then(Clone::clone) else { return vec![] };
        let mut folded = Folded { weight: weight.to_kind(Kind::Double), bias };
        let (mut last, mut gone) = (output, vec![]);
        while let Some(user) = self.only_user(last) {
            if !self.fold(&mut folded, self.node(user), last) {
                break;
            }
            let Some(output) = self.node(user).outputs[0] else { break };
            last = output;
            gone.push(user);
        }
        let Ok(kernel) = Kernel::new(window, &folded.weight, &folded.bias, &size, self.device)
        else {
            return vec![];
        };
        // It stands where the last of them stood in the order: no one else needed anything before.
        let kernel = Node {
            op: Rc::new(Op::Kernel(Box::new(kernel))),
            inputs: vec![Some(input)],
            outputs: vec![Some(last)],
            ..self.node(index).clone()
        };
        self.graph.nodes[index] = kernel;
        gone
    }

    /// A sum of a convolution and another tensor of its shape.
    fn shortcut(&mut self, index: usize) -> Vec<usize> {
        let found = || -> Option<(usize, Node)> {
            let node = self.node(index);
            let Op::Kernel(kernel) = &*node.op else { return None };
            let output = node.outputs[0]?;
            let user = self.only_user(output)?;
            let sum = self.node(user);
            if !matches!(*sum.op, Op::Binary(Binary::Add)) || node.inputs.len() > 1 {
                return None;
            }
            let other = sum.inputs.iter().flatten().copied().find(|value| *value != output)?;
            let is_one = !self.graph.constants.contains_key(&other)
                && self.shapes.get(other)?.as_ref()? == self.shapes.get(output)?.as_ref()?;
            let node = Node {
                inputs: vec![node.inputs[0], Some(other)],
                outputs: sum.outputs.clone(),
                ..node.clone()
            };
            (is_one && kernel.is_bare()).then_some((user, node))
        };
        // It stands where the sum stood, behind what makes the other tensor.
        let Some((user, node)) = found() else { return vec![] };
        self.graph.nodes[user] = node;
        self.graph.nodes[index].inputs.clear();
        vec![index]
    }

    /// ReLU or ReLU6 behind a convolution, or behind a sum with one.
    fn activated(&mut self, index: usize) -> Vec<usize> {
        let found = || -> Option<(usize, Node)> {
            let node = self.node(index);
            let Op::Kernel(kernel) = &*node.op else { return None };
            let user = self.only_user(node.outputs[0]?)?;
            let activation = match *self.node(user).op {
                Op::Unary(Unary::Relu) => Activation::Relu,
                Op::Clamp(low, high) if is_relu6(low, high) => Activation::Relu6,
                _ => return None,
            };
            let node = Node {
                op: Rc::new(Op::Kernel(Box::new(kernel.followed_by(activation)))),
                outputs: self.node(user).outputs.clone(),
                ..node.clone()
            };
            kernel.is_bare().then_some((user, node))
        };
        let Some((user, node)) = found() else { return vec![] };
        self.graph.nodes[index] = node;
        self.graph.nodes[user].inputs.clear();
        vec![user]
    }

    /// Whether a node that uses `input` could be folded into the convolution before it.
    fn fold(&self, folded: &mut Folded, node: &Node, input: Value) -> bool {
        let n = folded.bias.size()[0];
        // One number for all channels, or one for each along axis 1.
        let other = || -> Option<Tensor> {
            let place = node.inputs.iter().position(|value| *value != Some(input))?;
            let tensor = self.constant(node, place)?;
            let size = tensor.size();
            let is_by_channel = match size[..] {
                [channels, 1, 1] | [1, channels, 1, 1] => channels == n,
                _ => false,
            };
            (is_by_channel || (tensor.numel() == 1 && size.len() <= 4))
                .then(|| tensor.to_kind(Kind::Double).reshape([-1]))
        };
        let is_first = node.inputs.first() == Some(&Some(input));
        let (factor, offset) = match &*node.op {
            Op::BatchNorm { epsilon } if is_first => {
                let parameter = |index| Some(self.constant(node, index)?.to_kind(Kind::Double));
                let (Some(scale), Some(shift), Some(mean), Some(variance)) =
                    (parameter(1), parameter(2), parameter(3), parameter(4))
                else {
                    return false;
                };
                if [&scale, &shift, &mean, &variance].iter().any(|tensor| tensor.size() != [n]) {
                    return false;
                }
                let factor = scale / (variance + *epsilon).sqrt();
                let offset = shift - mean * &factor;
                (factor, offset)
            }
            Op::Binary(binary) => {
                let Some(other) = other() else { return false };
                let (one, none) = (other.ones_like(), other.zeros_like());
                match binary {
                    Binary::Add => (one, other),
                    Binary::Sub if is_first => (one, -other),
                    Binary::Mul => (other, none),
                    Binary::Div if is_first => (1.0 / other, none),
                    _ => return false,
                }
            }
            _ => return false,
        };
        folded.weight = &folded.weight * factor.reshape([-1, 1, 1, 1]);
        folded.bias = &folded.bias * factor + offset;
        true
    }

    /// A matrix product whose weights are known, with the offset behind it.
    fn linear(&mut self, index: usize) -> Vec<usize> {
        let found = || -> Option<(Linear, Value, Value, Option<usize>)> {
            let node = self.node(index);
            let (input, output) = (node.inputs[0]?, node.outputs[0]?);
            let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
            let second =
                self.constant(node, 1).filter(|b| b.dim() == 2 && b.kind() == Kind::Float)?;
            let finished = |weight: Tensor, bias: Tensor| {
                let float = |tensor: &Tensor| tensor.to_kind(Kind::Float).to_device(self.device);
                Linear { weight: float(&weight).contiguous(), bias: float(&bias).contiguous() }
            };
            match &*node.op {
                Op::Gemm(gemm) if !gemm.transpose_a => {
                    let weight = if gemm.transpose_b {
                        double(second)
                    } else {
                        double(second).transpose(0, 1)
                    };
                    let n = weight.size()[0];
                    let has_bias = node.inputs.get(2).copied().flatten().is_some();
                    let bias = if has_bias {
                        let bias = self.constant(node, 2)?;
                        let is_row = matches!(bias.size()[..], [m] | [1, m] if m == n || m == 1);
                        if !is_row && bias.numel() != 1 {
                            return None;
                        }
                        double(bias).reshape([-1]).expand([n], false) * gemm.beta
                    } else {
                        Tensor::zeros([n], (Kind::Double, Device::Cpu))
                    };
                    Some((finished(weight * gemm.alpha, bias), input, output, None))
                }
                Op::MatMul if self.shapes.get(input)?.as_ref()?.len() >= 2 => {
                    let weight = double(second).transpose(0, 1);
                    let n = weight.size()[0];
                    let offset = || -> Option<(usize, Value, Tensor)> {
                        let user = self.only_user(output)?;
                        let node = self.node(user);
                        if !matches!(*node.op, Op::Binary(Binary::Add)) {
                            return None;
                        }
                        let place = node.inputs.iter().position(|value| *value != Some(output))?;
                        let bias = self.constant(node, place)?;
                        let is_row = bias.size().last() == Some(&n)
                            && bias.numel() as i64 == n
                            && bias.dim() <= self.shapes.get(output)?.as_ref()?.len();
                        is_row
                            .then(|| Some((user, node.outputs[0]?, double(bias).reshape([-1]))))?
                    };
                    if let Some((user, last, bias)) = offset() {
                        Some((finished(weight, bias), input, last, Some(user)))
                    } else {
                        let bias = Tensor::zeros([n], (Kind::Double, Device::Cpu));
                        Some((finished(weight, bias), input, output, None))
                    }
                }
                _ => None,
            }
        };
        let Some((linear, input, output, gone)) = found() else { return vec![] };
        let node = &mut self.graph.nodes[index];
        node.op = Rc::new(Op::Linear(Box::new(linear)));
        node.inputs = vec![Some(input)];
        node.outputs = vec![Some(output)];
        gone.into_iter().collect()
    }

    /// `x · sigmoid(x)` and `x · hardsigmoid(x)`.
    fn activation(&mut self, index: usize) -> Vec<usize> {
        let found = || -> Option<(usize, Value, Unary)> {
            let node = self.node(index);
            let (input, output) = (node.inputs[0]?, node.outputs[0]?);
            let whole = match *node.op {
                Op::Unary(Unary::Sigmoid) => Unary::Silu,
                Op::Unary(Unary::HardSigmoid(alpha, beta))
                    if (alpha - 1.0 / 6.0).abs() < 1e-6 && (beta - 0.5).abs() < 1e-6 =>
                {
                    Unary::HardSwish
                }
                _ => return None,
            };
            let user = self.only_user(output)?;
            let is_product = matches!(*self.node(user).op, Op::Binary(Binary::Mul))
                && self.node(user).inputs.contains(&Some(input));
            is_product.then_some((user, input, whole))
        };
        let Some((user, input, whole)) = found() else { return vec![] };
        let node = &mut self.graph.nodes[user];
        node.op = Rc::new(Op::Unary(whole));
        node.inputs = vec![Some(input)];
        vec![index]
    }
}

/// Weights and offsets in double precision.
struct Folded {
    weight: Tensor,
    bias: Tensor,
}

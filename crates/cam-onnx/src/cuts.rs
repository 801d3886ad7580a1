//! Where a graph can be cut: at values that every path from the image to the logits goes through. Where its last attention is.

use std::collections::BTreeSet;

use crate::graph::{Graph, Value};
use crate::ops::Op;

/// The values, from the image to the logits, that every path between the two goes through.
///
/// In any order in which the nodes can be run, what comes before such a value and what comes after it are two runs of
/// nodes, and nothing but this value is handed from the first to the second.
pub(crate) fn dominators(graph: &Graph, input: Value) -> Vec<Value> {
    let output = graph.outputs[0];
    let mut depends = BTreeSet::from([input]);
    for node in &graph.nodes {
        if node.inputs.iter().flatten().any(|value| depends.contains(value)) {
            depends.extend(node.outputs.iter().flatten());
        }
    }
    let last_uses = graph.last_use();
    let last_use = |value: Value| last_uses.get(&value).copied();
    let mut found = vec![];
    // Until when something other than the value in hand is still needed.
    let mut needed_until = last_use(input);
    found.push(input);
    for (index, node) in graph.nodes.iter().enumerate() {
        let made: Vec<Value> = node
            .outputs
            .iter()
            .flatten()
            .copied()
            .filter(|value| depends.contains(value))
            .collect();
        let used: Vec<Value> = made
            .iter()
            .copied()
            .filter(|&value| value == output || last_use(value).is_some())
            .collect();
        if let [value] = used[..]
            && needed_until.is_none_or(|until| until <= index)
        {
            found.push(value);
        }
        needed_until = made.iter().map(|&value| last_use(value)).fold(needed_until, Option::max);
    }
    found
}

/// The node of a transformer's last attention: the last softmax that weighs the rows of a matrix, with no convolution
/// behind it.
pub(crate) fn last_attention(graph: &Graph) -> Option<usize> {
    let is_convolution = |op: &Op| matches!(op, Op::Conv(_));
    let last_convolution = graph.nodes.iter().rposition(|node| is_convolution(&node.op));
    let is_attention = |index: usize| {
        let node = &graph.nodes[index];
        let weights = node.outputs.first().copied().flatten();
        matches!(*node.op, Op::Softmax { .. })
            && weights.is_some_and(|weights| is_multiplied(graph, weights, 3))
    };
    let index = (0..graph.nodes.len()).rev().find(|&index| is_attention(index))?;
    last_convolution.is_none_or(|convolution| convolution < index).then_some(index)
}

/// Whether a value goes into a matrix product, directly or within some steps: exporters put casts, transpositions and
/// what replaces NaN between.
fn is_multiplied(graph: &Graph, value: Value, steps: u32) -> bool {
    let mut users = graph.nodes.iter().filter(|node| node.inputs.contains(&Some(value)));
    users.any(|node| match *node.op {
        Op::MatMul | Op::Einsum(_) => true,
        Op::Where | Op::Cast(_) | Op::Transpose(_) | Op::Reshape { .. } => {
            let next = node.outputs.first().copied().flatten();
            steps > 0 && next.is_some_and(|next| is_multiplied(graph, next, steps - 1))
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::*;
    use crate::graph::Node;
    use crate::ops::{Op, Unary};

    /// A graph of nodes that have these inputs and outputs; what they do does not matter here.
    fn graph(nodes: &[(&[Value], &[Value])]) -> Graph {
        let nodes = nodes.iter().map(|(inputs, outputs)| Node {
            name: String::new(),
            operator: String::new(),
            op: Rc::new(Op::Unary(Unary::Relu)),
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: outputs.iter().copied().map(Some).collect(),
        });
        Graph {
            names: vec![String::new(); 20],
            constants: BTreeMap::new(),
            by_batch: BTreeMap::new(),
            nodes: nodes.collect(),
            inputs: vec![],
            outputs: vec![9],
            opset: 17,
            files: vec![],
            hooked: None,
        }
    }

    #[test]
    fn a_chain_can_be_cut_anywhere_and_a_shortcut_only_around_it() {
        let chain = graph(&[(&[0], &[1]), (&[1], &[2]), (&[2], &[9])]);
        assert_eq!(dominators(&chain, 0), [0, 1, 2, 9]);
        let shortcut =
            graph(&[(&[0], &[1]), (&[1], &[2]), (&[2], &[3]), (&[3, 1], &[4]), (&[4], &[9])]);
        assert_eq!(dominators(&shortcut, 0), [0, 1, 4, 9]);
    }

    #[test]
    fn a_part_of_a_split_is_no_cut_and_constants_do_not_count() {
        let split = graph(&[(&[0], &[1, 2]), (&[1], &[3]), (&[3, 2], &[4]), (&[4, 15], &[9])]);
        assert_eq!(dominators(&split, 0), [0, 4, 9]);
        let unused = graph(&[(&[0], &[1, 2]), (&[1], &[9])]);
        assert_eq!(dominators(&unused, 0), [0, 1, 9]);
        // What is made of a constant is not made of the image.
        let token = graph(&[(&[15], &[5]), (&[0], &[1]), (&[1, 5], &[2]), (&[2], &[9])]);
        assert_eq!(dominators(&token, 0), [0, 1, 2, 9]);
    }
}

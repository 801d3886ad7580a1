//! Convolution, sum and activation in one pass over memory, by cuDNN or oneDNN.
//!
//! cuDNN's are bound by `tch`. oneDNN's libtorch has for its own compiler, and offers them to compiled programs through a C
//! interface that it promises to keep (`torch/csrc/inductor/aoti_torch/c/shim_cpu.h`); `tch` binds none of them. They are
//! looked up in the libtorch that is loaded, because one that was built without oneDNN has none. Neither has gradients.

#![expect(unsafe_code, reason = "calls libtorch's C interface, for which there is no safe wrapper")]

use std::cell::OnceCell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use tch::{Device, Kind, Tensor};

/// An elementwise nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The identity.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

impl Activation {
    /// Applies it to a tensor that nobody else has, in its memory.
    pub fn apply(self, mut x: Tensor) -> Tensor {
        match self {
            Self::None => x,
            Self::Relu => x.relu_(),
            Self::Relu6 => x.relu6_(),
        }
    }
}

/// How a convolution over rows and columns is done, but for its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Steps along rows and columns.
    pub stride: [i64; 2],
    /// Zeros before and after alike.
    pub padding: [i64; 2],
    /// Groups of channels that are convolved apart.
    pub groups: i64,
}

/// What is added to a convolution before its activation.
#[derive(Debug)]
pub struct Shortcut {
    /// Of the convolution's shape.
    pub value: Tensor,
    /// Nobody else needs it: the sum may be written into it.
    pub is_spare: bool,
}

/// `activation(x * kernel + bias + shortcut)`, all tensors channels-last. `None` where a gradient is asked for, where
/// separate kernels are faster, or where this libtorch has no such kernel.
pub fn fused_convolution(
    x: &Tensor,
    kernel: &Tensor,
    bias: &Tensor,
    geometry: Geometry,
    shortcut: Option<&Shortcut>,
    activation: Activation,
) -> Option<Tensor> {
    if x.requires_grad() || shortcut.is_some_and(|shortcut| shortcut.value.requires_grad()) {
        return None;
    }
    if bias.device().is_cuda() {
        return on_cuda(x, kernel, bias, geometry, shortcut, activation);
    }
    match shortcut {
        None => convolution(x, kernel, bias, geometry, activation),
        Some(Shortcut { value, is_spare }) => {
            let sum = if *is_spare { value.shallow_clone() } else { value.copy() };
            convolution_onto(&sum, x, kernel, bias, geometry, activation)
        }
    }
}

fn on_cuda(
    x: &Tensor,
    kernel: &Tensor,
    bias: &Tensor,
    Geometry { stride, padding, groups }: Geometry,
    shortcut: Option<&Shortcut>,
    activation: Activation,
) -> Option<Tensor> {
    // Channels-first is for single precision without tensor cores, which cuDNN has its fastest kernels for apart.
    let is_channels_first = x.kind() == Kind::Float && x.is_contiguous();
    if activation != Activation::Relu || groups != 1 || is_channels_first {
        return None;
    }
    let y = match shortcut {
        None => x.f_cudnn_convolution_relu(kernel, Some(bias), stride, padding, DILATION, 1),
        Some(Shortcut { value, .. }) => x.f_cudnn_convolution_add_relu(
            kernel,
            value,
            1.0,
            Some(bias),
            stride,
            padding,
            DILATION,
            1,
        ),
    };
    y.ok()
}

/// A kernel packed for a single image of the size that came first. oneDNN packs a plain kernel whenever it is used, which is
/// a quarter of the time that one image takes, and lost in that of a batch. The values are the same.
#[derive(Debug, Default)]
pub struct Packed(OnceCell<(Vec<i64>, Tensor)>);

impl Packed {
    /// The kernel as it is best handed to [`fused_convolution`] with `x`.
    pub fn of<'a>(&'a self, kernel: &'a Tensor, x: &Tensor, geometry: Geometry) -> &'a Tensor {
        let size = x.size();
        if size[0] != 1 || kernel.device() != Device::Cpu || x.requires_grad() {
            return kernel;
        }
        let pack = || (size.clone(), packed(kernel, &size, geometry));
        let (for_size, packed) = self.0.get_or_init(pack);
        if *for_size == size { packed } else { kernel }
    }
}

/// `activation(x * kernel + bias)`, or `None` where this libtorch cannot.
fn convolution(
    x: &Tensor,
    kernel: &Tensor,
    bias: &Tensor,
    geometry: Geometry,
    activation: Activation,
) -> Option<Tensor> {
    let call = functions()?.unary;
    let Geometry { stride, padding, groups } = geometry;
    let mut bias = handle(bias);
    let (name, bounds) = match activation {
        Activation::None => (c"none", &[][..]),
        Activation::Relu => (c"relu", &[][..]),
        Activation::Relu6 => (c"hardtanh", &[0.0, 6.0][..]),
    };
    let bounds: Vec<*const f64> = bounds.iter().map(std::ptr::from_ref).collect();
    let mut result = null_mut();
    // SAFETY: as declared by the header; every pointer is to something that lives until the call returns, and libtorch
    // changes none of its arguments.
    let status = unsafe {
        call(
            handle(x),
            handle(kernel),
            &raw mut bias,
            padding.as_ptr(),
            2,
            stride.as_ptr(),
            2,
            DILATION.as_ptr(),
            2,
            groups,
            name.as_ptr(),
            bounds.as_ptr(),
            bounds.len() as i64,
            null(),
            &raw mut result,
        )
    };
    owned(status, result)
}

/// Makes `sum` into `activation(x * kernel + bias + sum)` and gives it back, or leaves it alone and gives `None` where
/// this libtorch cannot; ReLU or no activation. (The form that makes a new tensor is slower than not fusing at all.)
fn convolution_onto(
    sum: &Tensor,
    x: &Tensor,
    kernel: &Tensor,
    bias: &Tensor,
    geometry: Geometry,
    activation: Activation,
) -> Option<Tensor> {
    let call = functions()?.binary;
    let Geometry { stride, padding, groups } = geometry;
    let mut bias = handle(bias);
    let relu = c"relu".as_ptr();
    let unary = match activation {
        Activation::None => null(),
        Activation::Relu => &raw const relu,
        Activation::Relu6 => return None,
    };
    let mut result = null_mut();
    // SAFETY: as in `convolution`, but that `sum` is written to, which the caller has no other use for.
    let status = unsafe {
        call(
            handle(sum),
            handle(x),
            handle(kernel),
            &raw mut bias,
            padding.as_ptr(),
            2,
            stride.as_ptr(),
            2,
            DILATION.as_ptr(),
            2,
            groups,
            c"add".as_ptr(),
            null_mut(),
            unary,
            null(),
            0,
            null(),
            &raw mut result,
        )
    };
    owned(status, result)
}

/// A kernel in the order in which oneDNN reads it for an input of this size; itself where this libtorch cannot.
fn packed(kernel: &Tensor, input_size: &[i64], geometry: Geometry) -> Tensor {
    let Geometry { stride, padding, groups } = geometry;
    let pack = || {
        kernel
            .f_to_mkldnn(kernel.kind())?
            .f_mkldnn_reorder_conv2d_weight(padding, stride, DILATION, groups, input_size)
    };
    pack().unwrap_or_else(|_| kernel.shallow_clone())
}

const DILATION: [i64; 2] = [1, 1];

/// libtorch's `AtenTensorHandle`, which is a pointer to its `at::Tensor`, as `tch`'s is.
type Handle = *mut torch_sys::C_tensor;

fn handle(tensor: &Tensor) -> Handle {
    tensor.as_ptr().cast_mut()
}

fn owned(status: i32, result: Handle) -> Option<Tensor> {
    // SAFETY: on success the result is a new `at::Tensor` of our own.
    (status == 0 && !result.is_null()).then(|| unsafe { Tensor::from_ptr(result) })
}

type Unary = unsafe extern "C" fn(
    x: Handle,
    weight: Handle,
    bias: *mut Handle,
    padding: *const i64,
    n_padding: i64,
    stride: *const i64,
    n_stride: i64,
    dilation: *const i64,
    n_dilation: i64,
    groups: i64,
    attribute: *const c_char,
    scalars: *const *const f64,
    n_scalars: i64,
    algorithm: *const *const c_char,
    result: *mut Handle,
) -> i32;

type Binary = unsafe extern "C" fn(
    x: Handle,
    other: Handle,
    weight: Handle,
    bias: *mut Handle,
    padding: *const i64,
    n_padding: i64,
    stride: *const i64,
    n_stride: i64,
    dilation: *const i64,
    n_dilation: i64,
    groups: i64,
    binary: *const c_char,
    alpha: *mut f64,
    unary: *const *const c_char,
    scalars: *const *const f64,
    n_scalars: i64,
    algorithm: *const *const c_char,
    result: *mut Handle,
) -> i32;

#[derive(Clone, Copy)]
struct Functions {
    unary: Unary,
    binary: Binary,
}

fn functions() -> Option<Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    *FUNCTIONS.get_or_init(|| {
        let unary = symbol(c"aoti_torch_cpu_mkldnn__convolution_pointwise")?;
        let binary = symbol(c"aoti_torch_cpu_mkldnn__convolution_pointwise_binary_")?;
        // SAFETY: these names are functions of these types, by the header.
        Some(unsafe {
            Functions {
                unary: std::mem::transmute::<*mut c_void, Unary>(unary),
                binary: std::mem::transmute::<*mut c_void, Binary>(binary),
            }
        })
    })
}

/// Where a name is in the libraries that are loaded.
fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: looks a name up.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    fn waves(shape: &[i64], pitch: f64) -> Tensor {
        let n: i64 = shape.iter().product();
        (Tensor::arange(n, (Kind::Float, Device::Cpu)) * pitch).sin().view(shape)
    }

    fn difference(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    #[cfg(target_arch = "x86_64")] // libtorch for other processors may have been built without oneDNN
    fn fused_convolutions_equal_convolution_sum_and_activation_one_by_one() {
        assert!(functions().is_some());
        let x = waves(&[2, 4, 6, 5], 0.7) * 9.0;
        let bias = waves(&[4], 1.3);
        for groups in [1, 4] {
            let kernel = waves(&[4, 4 / groups, 3, 3], 0.9);
            let geometry = Geometry { stride: [2, 2], padding: [1, 1], groups };
            let plain = x.conv2d(&kernel, Some(&bias), [2; 2], [1; 2], [1; 2], groups);
            let unary = |activation| convolution(&x, &kernel, &bias, geometry, activation).unwrap();
            assert!(difference(&unary(Activation::None), &plain) < 1e-5);
            assert!(difference(&unary(Activation::Relu), &plain.relu()) < 1e-5);
            assert!(difference(&unary(Activation::Relu6), &plain.relu6()) < 1e-5);

            let shortcut = waves(&plain.size(), 0.3) * 5.0;
            let onto = |activation| {
                let sum = shortcut.copy();
                let result = convolution_onto(&sum, &x, &kernel, &bias, geometry, activation)?;
                assert_eq!(result.data_ptr(), sum.data_ptr());
                Some(result)
            };
            let sum = &plain + &shortcut;
            assert!(difference(&onto(Activation::None).unwrap(), &sum) < 1e-5);
            assert!(difference(&onto(Activation::Relu).unwrap(), &sum.relu()) < 1e-5);
            assert!(onto(Activation::Relu6).is_none());
        }
    }
}

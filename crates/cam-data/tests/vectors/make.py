"""Makes the vectors beside this file: python3 crates/cam-data/tests/vectors/make.py

Needs torch, torchvision, Pillow and efficientnet_lite_pytorch; the photographs and weights that `cargo xtask setup` lays
into the cache; and IMAGENET_SAMPLES, a folder of single ImageNet images. The images kept here are reductions of
scikit-image's photographs, which are all in the public domain.
"""

import json
import os
import pathlib

import efficientnet_lite_pytorch
import numpy as np
import PIL
import torch
import torchvision
from PIL import Image, ImageOps
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(os.environ.get("CAMBENCH_CACHE", pathlib.Path.home() / ".cache/cambench"))
SAMPLES = pathlib.Path(os.environ["IMAGENET_SAMPLES"])
MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
VERSIONS = f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}, torch {torch.__version__}"


def photograph(name, width, height):
    """A cutout of the middle of a photograph, reduced."""
    image = Image.open(CACHE / "photographs" / name).convert("RGB")
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def images():
    """One small file of every kind that people have."""
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    astronaut = photograph("astronaut.png", 150, 201)
    chelsea = photograph("chelsea.png", 160, 107)
    coffee = photograph("coffee.png", 119, 160)
    rocket = photograph("rocket.jpg", 96, 96)
    camera = photograph("camera.png", 97, 131).convert("L")

    astronaut.save(folder / "jpeg-444-portrait.jpg", quality=90, subsampling="4:4:4")
    chelsea.save(folder / "jpeg-422-landscape.jpg", quality=85, subsampling="4:2:2")
    coffee.save(folder / "jpeg-420-odd.jpg", quality=75, subsampling="4:2:0")
    chelsea.save(folder / "jpeg-420-progressive.jpg", quality=75, subsampling="4:2:0", progressive=True)
    chelsea.save(folder / "jpeg-420-restarts.jpg", quality=75, subsampling="4:2:0", restart_marker_rows=1)
    camera.save(folder / "jpeg-gray.jpg", quality=85)
    cmyk(rocket).save(folder / "jpeg-cmyk.jpg", quality=85)
    exif = Image.Exif()
    exif[0x0112] = 6
    coffee.save(folder / "jpeg-turned.jpg", quality=75, exif=exif)

    photograph("rocket.jpg", 72, 60).save(folder / "png-rgb.png")
    photograph("coffee.png", 45, 33).save(folder / "png-small.png")
    photograph("astronaut.png", 230, 9).save(folder / "png-long.png")
    rocket.quantize(48).save(folder / "png-palette.png", transparency=3)
    fade = Image.linear_gradient("L").resize((60, 72))
    translucent = photograph("astronaut.png", 60, 72)
    translucent.putalpha(fade)
    translucent.save(folder / "png-rgba.png")
    Image.merge("LA", [camera.resize(fade.size), fade]).save(folder / "png-gray-alpha.png")
    camera.convert("1").save(folder / "png-one-bit.png")
    low_bytes = np.random.default_rng(0).integers(0, 256, (72, 60), np.uint16)
    high_bytes = np.asarray(camera.resize((60, 72)), np.uint16) << 8
    Image.fromarray(high_bytes + low_bytes).save(folder / "png-gray-16-bit.png")


def cmyk(image):
    """With half of what is common to the three inks in black."""
    inks = 255 - np.asarray(image)
    black = inks.min(axis=2, keepdims=True) // 2
    return Image.fromarray(np.concatenate([inks - black, black], axis=2), mode="CMYK")


def rgb(path, exif="ignore"):
    """The image as `ImageFolder` opens it."""
    image = Image.open(path)
    if exif == "apply":
        image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":
        # Here we differ on purpose: Pillow's conversion makes everything above 255 white.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def pixels():
    """The images as torchvision resizes and crops them."""
    folder = HERE / "expected"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    cases = []

    def add(image, resize, crop, interpolation, exif="ignore"):
        transform = Compose([Resize(resize, MODES[interpolation]), CenterCrop(crop)])
        expected = f"{image.split('.')[0]}-{interpolation}-{resize}-{crop}{'-turned' * (exif == 'apply')}.png"
        transform(rgb(HERE / "images" / image, exif)).save(folder / expected, optimize=True)
        cases.append({
            "image": image, "exif": exif, "expected": expected,
            "preprocessing": {"resize": resize, "crop": crop, "interpolation": interpolation},
        })

    for image in sorted(path.name for path in (HERE / "images").iterdir()):
        for interpolation in MODES:
            add(image, 48, 40, interpolation)
    add("jpeg-turned.jpg", 48, 40, "bicubic", "apply")
    for interpolation in MODES:
        add("png-small.png", 77, 64, interpolation)  # enlarged
        add("png-small.png", 21, 40, interpolation)  # smaller than the crop in one direction and in both
        add("png-rgb.png", 60, 60, interpolation)  # as large as it is
        add("jpeg-444-portrait.jpg", 53, 53, interpolation)  # an odd crop
        add("jpeg-420-odd.jpg", 119, 40, interpolation)  # cropped only: the decoder alone
    write("pixels.yaml", VERSIONS, cases)


def photographs():
    """Means of the 16 x 16 blocks of 14 x 14 pixels, in tenths, of the demo's photographs and of some of ImageNet's."""
    paths = sorted((CACHE / "photographs").iterdir())
    samples = sorted(SAMPLES.iterdir())
    gray = next(path for path in samples if Image.open(path).mode == "L")
    paths += [samples[0], samples[59], samples[119], samples[179], gray]
    cases = []
    for path in paths:
        for interpolation in MODES:
            transform = Compose([Resize(256, MODES[interpolation]), CenterCrop(224)])
            blocks = np.asarray(transform(rgb(path)), np.float64).reshape(16, 14, 16, 14, 3).mean(axis=(1, 3))
            cases.append({
                "image": path.name, "interpolation": interpolation,
                "tenths": np.rint(10 * blocks).astype(int).flatten().tolist(),
            })
    write("photographs.yaml", VERSIONS, cases)


@torch.no_grad()
def top1():
    """What EfficientNet-Lite0 makes of the demo's photographs: the five largest logits, with their classes."""
    model = efficientnet_lite_pytorch.EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(CACHE / "weights/efficientnet_lite0.pth"))
    model.eval()
    normalize = Normalize([127 / 255] * 3, [128 / 255] * 3)
    transform = Compose([Resize(256, MODES["bicubic"]), CenterCrop(224), ToTensor(), normalize])
    rows = []
    for path in sorted((CACHE / "photographs").iterdir()):
        logits = model(transform(rgb(path))[None])[0]
        largest, classes = logits.topk(5)
        rows.append({"image": path.name, "classes": classes.tolist(), "logits": largest.tolist()})
        print(rows[-1])
    content = {"versions": VERSIONS, "rows": rows}
    (HERE / "top1.json").write_text(json.dumps(content, indent=1) + "\n")


def write(name, comment, rows):
    lines = [f"# {comment}", *(f"- {json.dumps(row)}" for row in rows)]
    (HERE / name).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    images()
    pixels()
    photographs()
    top1()

"""Explanations and scores written down once more from the formulas of their papers and of their authors' code.

Plain and slow, in double precision where it costs nothing: one position, one channel or one pixel at a time.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csc_matrix, diags
from scipy.sparse.linalg import splu
from scipy.stats import spearmanr

from packages import superpixels


def weighted(features, weights):
    return (features.double()[0] * weights.view(-1, 1, 1)).sum(0)


def upsampled(values, size):
    return F.interpolate(values[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def grad_cam_pp(net, case, _handed):
    """Equations 10 and 19: alpha by the powers of the gradient."""
    features = net.clean_features(case["layer"])
    g = net.gradient(case["layer"], features)
    return plus_plus(features, g, g**2, g**3)


def grad_cam_pp_in_tensor_flow(net, case, _handed):
    """The authors' code: alphas of a channel divided by their sum over positive gradients."""
    features = net.clean_features(case["layer"])
    g = net.gradient(case["layer"], features)
    total = features.double().sum((2, 3), keepdim=True)
    below = 2 * g**2 + g**3 * total
    alpha = g**2 / torch.where(below != 0, below, 1.0)
    weights = g.relu()
    sums = torch.where(weights > 0, alpha, 0.0).sum((2, 3), keepdim=True)
    alpha = alpha / torch.where(sums != 0, sums, 1.0)
    return weighted(features, (weights * alpha).sum((0, 2, 3))).relu()


def grad_cam_pp_in_xplique(net, case, _handed):
    """Xplique's code: means where the paper has sums."""
    features = net.clean_features(case["layer"])
    g = net.gradient(case["layer"], features)
    mean = features.double().mean((2, 3), keepdim=True)
    alpha = torch.where(g != 0, g**2 / (2 * g**2 + g**3 * mean), 0.0)
    return weighted(features, (alpha * g.relu()).mean((0, 2, 3))).relu()


LEVELS = ["conv_head", "blocks.10", "blocks.4", "blocks.2"]
"""The last layers of 7, 14, 28 and 56 pixels a side."""


def refine_cam(net, case, _handed):
    """The product of maps at the last layer of each resolution, each resized to the image and normalized."""
    make = layer_cam if case["options"].get("maps") == "layer_cam" else grad_cam_pp
    maps = [upsampled(make(net, {"layer": layer}, None), net.size) for layer in LEVELS]
    return torch.stack([unit(values) for values in maps]).prod(0)


def layer_cam(net, case, _handed):
    """Equations 6 and 7: activations by their positive gradients, position by position."""
    features = net.clean_features(case["layer"])
    g = net.gradient(case["layer"], features)
    return (features.double() * g.relu())[0].sum(0).relu()


def full_grad(net, case, _handed):
    """Equation 4, every channel upsampled; the biases are the batch normalizations', whose convolutions have none."""
    made, handles = [], []
    for module in net.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # What comes next may write into what a module made, so it gets a copy.
            hook = lambda module, _inputs, output: made.append((module, output)) or output.clone()  # noqa: E731
            handles.append(module.register_forward_hook(hook))
    image = net.image.clone().requires_grad_(True)
    total = net.model(image)[:, net.target].sum()
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(total, [image, *[output for _, output in made]])
    parts = [image.detach() * gradients[0]]
    for (module, _), gradient in zip(made, gradients[1:], strict=True):
        bias = module.bias - module.running_mean * module.weight / (module.running_var + module.eps).sqrt()
        parts.append(bias.detach().view(1, -1, 1, 1) * gradient)
    by_layer = case["options"].get("rescale") == "layer"
    total = torch.zeros(net.size, dtype=torch.float64)
    for part in parts:
        part = part.double().abs()[0]
        low, high = (part.min(), part.max()) if by_layer else (part.amin((1, 2)), part.amax((1, 2)))
        low, high = low.view(-1, 1, 1), high.view(-1, 1, 1)
        scaled = torch.where(high > low, (part - low) / (high - low), 0)
        total += F.interpolate(scaled[None], net.size, mode="bilinear", align_corners=False)[0].sum(0)
    return total


def smooth_grad_cam_pp(net, case, handed):
    """The same with means over noisy copies, which are handed over."""
    layer = case["layer"]
    with torch.no_grad():
        noisy = [net.features(layer, copy) for copy in handed.split(1)]
    g = torch.cat([net.gradient(layer, features) for features in noisy])
    means = [(g**p).mean(0, keepdim=True) for p in (1, 2, 3)]
    return plus_plus(net.clean_features(layer), *means)


def plus_plus(features, first, second, third):
    total = features.double().sum((2, 3), keepdim=True)
    alpha = torch.where(second > 0, second / (2 * second + third * total), 0.0)
    return weighted(features, (alpha * first.relu()).sum((0, 2, 3))).relu()


def masks_of(net, features):
    """Every channel at the image's size, in [0, 1]; 0 where a channel is constant."""
    for channel in features[0]:
        mask = upsampled(channel, net.size)
        low, high = mask.min(), mask.max()
        yield (mask - low) / (high - low) if high > low else torch.zeros_like(mask)


def score_cam(net, case, _handed):
    """The authors' loop: a channel counts by the probability of the class behind its mask."""
    features = net.clean_features(case["layer"])
    total = torch.zeros(net.size, dtype=torch.float64)
    for channel, mask in zip(features[0], masks_of(net, features)):
        if mask.max() > 0:
            total += net.probability(net.image * mask) * upsampled(channel, net.size).double()
    return total.relu()


def channel_softmax(net, case, _handed):
    """Score-CAM by logits and a softmax over the channels."""
    features = net.clean_features(case["layer"])
    scores = torch.cat([net.logit(net.image * mask) for mask in masks_of(net, features)])
    return weighted(features, scores.softmax(0)).relu()


def ss_cam(net, case, handed):
    """Images behind noisy masks are handed over, channel by channel."""
    features = net.clean_features(case["layer"])
    scores = net.logit(handed).view(features.shape[1], -1).mean(1)
    return weighted(features, scores.softmax(0)).relu()


def is_cam(net, case, _handed):
    n = case["options"]["n"]
    features = net.clean_features(case["layer"])
    scores = [
        torch.stack([net.logit(net.image * mask * ((i + 1) / n)) for i in range(n)]).mean(0)
        for mask in masks_of(net, features)
    ]
    return weighted(features, torch.cat(scores).softmax(0)).relu()


@torch.no_grad()
def ablation_cam(net, case, _handed):
    """One channel after the other set to zero."""
    layer = case["layer"]
    features = net.clean_features(layer)
    logit = lambda features: net.head(layer, features)[0, net.target].double()
    whole = logit(features)
    losses = []
    for k in range(features.shape[1]):
        without = features.clone()
        without[:, k] = 0
        losses.append((whole - logit(without)) / whole.abs())
    return weighted(features, torch.stack(losses)).relu()


def eigen_cam(net, case, _handed):
    """The first right singular vector of the activations as they are, by NumPy's decomposition."""
    features = net.clean_features(case["layer"]).double()[0]
    columns = features.flatten(1).T.numpy()
    component = columns @ np.linalg.svd(columns, full_matrices=False)[2][0]
    component *= -1 if component @ columns.sum(1) < 0 else 1
    return torch.from_numpy(component).view(features.shape[1:])


def rise(net, case, handed):
    """Equation 6 with masks that are handed over."""
    masks = handed[:, :1]
    p = case["options"].get("p", 0.5)
    scores = net.probability(net.image * masks)
    return (masks.double()[:, 0] * scores.view(-1, 1, 1)).sum(0) / (len(masks) * p)


@torch.no_grad()
def recipro_cam(net, case, _handed):
    """One position after the other: its column alone, or spread over its neighbors, through the head."""
    layer, options = case["layer"], case["options"]
    features = net.clean_features(layer)
    height, width = features.shape[2:]
    line = torch.tensor([1.0, 2.0, 1.0]) / 4 if options.get("gaussian") else torch.tensor([0.0, 1.0, 0.0])
    spread = torch.outer(line, line)
    values = torch.empty(height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            mask = torch.zeros(height + 2, width + 2)
            mask[y : y + 3, x : x + 3] = spread
            column = features[:, :, y : y + 1, x : x + 1]
            logits = net.head(layer, column * mask[1:-1, 1:-1]).double()
            scores = logits.softmax(1) if options.get("score") == "softmax" else logits
            values[y, x] = scores[0, net.target]
    return values


def kernel_shap(net, _case, handed):
    """Least squares over coalitions that are handed over, the sum held by a Lagrange multiplier."""
    rows, labels = superpixels(handed)
    rows, empty = rows[:-1], rows[-1]
    assert not empty.any()
    scores = net.logit(handed).numpy()
    values, total = scores[:-1] - scores[-1], net.logit(net.image).item() - scores[-1]
    d = rows.shape[1]
    system = np.block([[rows.T @ rows, np.ones((d, 1))], [np.ones((1, d)), np.zeros((1, 1))]])
    solution = np.linalg.lstsq(system, np.append(rows.T @ values, total), rcond=None)[0]
    return torch.from_numpy(solution[:d])[labels]


def extremal_perturbation(net, case, _handed):
    """TorchRay's ascent with torch's own optimizer, a pixel of the mask being a smooth maximum of bumps around it."""
    height, width = net.size
    options = case["options"]
    step, sigma, reach = 7, 21, 4
    levels = torch.cat([blurred(net.image, 20 * (1 - level / 7)) for level in range(8)])
    # Pixels from `sigma` before the image to `sigma` after the last cell of the grid that covers it.
    grid = [-(-side // step) for side in net.size]
    along = [torch.arange(-sigma, (cells - 1) * step + sigma + step + 1) for cells in grid]
    along = [pixels[: (cells + 2 * sigma // step - 1) * step + 1] for pixels, cells in zip(along, grid)]
    around = torch.arange(-reach, reach + 1)
    cells = [pixels.div(step, rounding_mode="floor")[:, None] + around for pixels in along]
    off = [pixels[:, None] - step * at for pixels, at in zip(along, cells)]
    distance = torch.hypot(off[0].double()[:, None, :, None], off[1].double()[None, :, None, :]) / sigma
    dtype = net.image.dtype
    bump = torch.exp(-2 * (distance - 0.5).clamp(min=0) ** 2).to(dtype)
    margin = 16
    rows, columns = cells[0] + margin, cells[1] + margin

    def mask_of(parameters):
        padded = F.pad(parameters, [margin] * 4)
        heights = padded[rows[:, None, :, None], columns[None, :, None, :]] * bump
        weights = (20 * heights).flatten(2).softmax(2)
        return (heights.flatten(2) * weights).sum(2).clamp(0, 1)

    total = torch.zeros(net.size, dtype=dtype)
    for area in options["areas"]:
        parameters = torch.ones(grid, dtype=dtype, requires_grad=True)
        optimizer = torch.optim.SGD([parameters], lr=0.01, momentum=0.9, dampening=0.9)
        strength = 300.0
        for iteration in range(options["iterations"]):
            whole = mask_of(parameters)
            mask = whole[sigma : sigma + height, sigma : sigma + width]
            level = mask * 7
            below = level.detach().floor().long()
            share = level - below
            pick = lambda at: levels.gather(0, at.clamp(max=7).expand(1, 3, -1, -1))
            seen = pick(below) + share * (pick(below + 1) - pick(below))
            if iteration % 2 == 0:
                seen = seen.flip(3)
            reference = torch.ones(whole.numel(), dtype=dtype)
            reference[: int(whole.numel() * (1 - area))] = 0
            penalty = ((whole.flatten().sort()[0] - reference) ** 2).mean()
            loss = strength * penalty - net.model(seen)[0, net.target]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            parameters.data.clamp_(0, 1)
            strength *= 1.0035
        total += mask.detach()
    return total


def blurred(image, sigma):
    if sigma == 0:
        return image
    reach = math.ceil(4 * sigma)
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1).double() / sigma) ** 2)
    line = (line / line.sum()).to(image.dtype).expand(3, 1, 1, -1)
    across = F.conv2d(image, line, padding=(0, reach), groups=3)
    return F.conv2d(across, line.transpose(2, 3), padding=(reach, 0), groups=3)


# Scores of a map `[H, W]` in [0, 1].


def drop(net, _case, values):
    clean, masked = net.probability(torch.cat([net.image, net.image * values])).tolist()
    return max(0.0, clean - masked) / clean


def increase(net, _case, values):
    clean, masked = net.probability(torch.cat([net.image, net.image * values])).tolist()
    return float(masked > clean)


def complexity(_net, _case, values):
    return values.double().abs().sum().item() / values.numel()


def curve(net, start, finish, order, steps):
    """The area under the probability while pixels of one image are put into the other, at their true share."""
    n = order.numel()
    current = start.flatten(2).clone()
    counts = [i * n // steps for i in range(steps + 1)]
    scores = [net.probability(current.view(1, 3, *net.size)).item()]
    for before, now in zip(counts, counts[1:]):
        current[:, :, order[before:now]] = finish.flatten(2)[:, :, order[before:now]]
        scores.append(net.probability(current.view(1, 3, *net.size)).item())
    return np.trapezoid(scores, np.array(counts) / n) if hasattr(np, "trapezoid") else np.trapz(scores, np.array(counts) / n)


def most_salient_first(values):
    return torch.argsort(values.flatten(), descending=True, stable=True)


def deletion(net, case, values):
    return curve(net, net.image, torch.zeros_like(net.image), most_salient_first(values), case["options"]["steps"])


def insertion(net, case, values):
    import measure

    start = measure.Curve(net, 1).blurred(net.image)
    return curve(net, start, net.image, most_salient_first(values), case["options"]["steps"])


def pixel_flipping(net, case, values):
    black = torch.full_like(net.image, net.image.min().item())
    return curve(net, net.image, black, most_salient_first(values), case["options"]["steps"])


def average_gain(net, _case, values):
    clean, masked = net.probability(torch.cat([net.image, net.image * values])).tolist()
    return max(0.0, masked - clean) / (1 - clean)


def sufficiency(net, _case, values):
    order = most_salient_first(values)
    left = []
    for share in (0.01, 0.05, 0.1, 0.2, 0.5):
        mask = torch.zeros(order.numel())
        mask[order[: round(share * order.numel())]] = 1
        left.append(net.image * mask.view(net.size))
    return (net.probability(net.image) - net.probability(torch.cat(left)).mean()).item()


def road(net, values, shares):
    """Halves of what the most salient pixels take with them more than the least salient, all imputed by one linear system;
    with noise."""
    order = most_salient_first(values).numpy()
    images = []
    for share in shares:
        n = round(share * len(order))
        images += [imputed(net.image[0], order[-n:]), imputed(net.image[0], order[:n])]
    least, most = net.probability(torch.stack(images)).view(-1, 2).T
    return ((least - most) / 2).mean().item()


def imputed(image, gone):
    """Pixels that are gone as the weighted means of their neighbors, those at the sides twice as heavy, and noise."""
    height, width = image.shape[1:]
    row_of = np.full((height + 2, width + 2), -2)
    row_of[1:-1, 1:-1] = -1
    ys, xs = gone // width, gone % width
    row_of[ys + 1, xs + 1] = np.arange(len(gone))
    padded = np.pad(image.double().numpy(), [(0, 0), (1, 1), (1, 1)])
    rows, columns, entries = [], [], []
    total, known = np.zeros(len(gone)), np.zeros((len(gone), 3))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if (dy, dx) == (0, 0):
                continue
            weight = 1 if dy and dx else 2
            neighbor = row_of[ys + 1 + dy, xs + 1 + dx]
            total += weight * (neighbor != -2)
            is_left = neighbor == -1
            known[is_left] += weight * padded[:, (ys + 1 + dy)[is_left], (xs + 1 + dx)[is_left]].T
            is_gone = np.flatnonzero(neighbor >= 0)
            rows.append(is_gone)
            columns.append(neighbor[is_gone])
            entries.append(np.full(len(is_gone), -float(weight)))
    off = csc_matrix((np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), (len(gone),) * 2)
    solution = splu(off + diags(total).tocsc()).solve(known)
    filled = image.clone().flatten(1)
    filled[:, gone] = torch.from_numpy(solution.T + np.random.normal(0, 0.01, solution.T.shape)).float()
    return filled.view_as(image)


def arcc(net, case, values):
    """The harmonic mean of coherency, one minus complexity, and twice ROAD."""
    image = net.image
    net.image = image * values
    again = upsampled(unit(recipro_cam(net, case, None).float()), net.size)
    net.image = image
    coherency = (1 + np.corrcoef(values.flatten().double(), again.flatten().double())[0, 1]) / 2
    twice_road = max(0.0, 2 * road(net, values, (0.2, 0.4, 0.6, 0.8)))
    terms = [coherency, 1 - complexity(net, case, values), twice_road]
    return 3 / sum(1 / term for term in terms) if min(terms) > 0 else 0.0


def unit(values):
    return (values - values.min()) / (values.max() - values.min())


def model_randomization(net, case, values):
    """The mean rank correlation with Recipro-CAM's maps of the network whose last fifths are random."""
    correlations = []
    for step in range(1, 6):
        with net.randomized(step / 5):
            again = upsampled(unit(recipro_cam(net, case, None).float()), net.size)
        correlations.append(spearmanr(values.flatten(), again.flatten()).statistic)
    return float(np.mean(correlations))


def infidelity(net, _case, values):
    """Squares of 32 pixels at 13 x 13 places, at the scale that fits best."""
    places = [round(i * (net.size[0] - 32) / 12) for i in range(13)]
    images, below = [], []
    for y in places:
        for x in places:
            image = net.image.clone()
            image[:, :, y : y + 32, x : x + 32] = 0
            images.append(image)
            below.append(values[y : y + 32, x : x + 32].double().sum())
    below = torch.stack(below)
    falls = net.probability(net.image) - net.probability(torch.cat(images))
    return (below * (below @ falls) / (below @ below) - falls).square().mean().item()

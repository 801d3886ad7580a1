"""Looks at a report in a real, headless Chromium: browse.py CHROMIUM REPORT.html FOLDER [seconds]

Checks that it sorts, filters, opens an image, turns a page of rows and draws every chart, that nothing is said on the
console, that no request leaves the page, that no markup of a name became an element, and that it opens in time; that paper says
what a chart shows and has the rows without a score, that a phone shows who is better without scrolling, that text is dark
enough to read, and that what color and pointing show is said, too. Then the same page with data of which little can be
drawn: a model without a score, methods that cost nothing, two without a common image and two of the same scores; and with
a second model that is compared with the first. Leaves pictures of it in light, dark, narrow and printed form in FOLDER.
"""

import json
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

chromium, report, folder, limit = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]), float(sys.argv[4])
folder.mkdir(parents=True, exist_ok=True)
failures = []


def check(what, ok, detail=""):
    print(f"{'ok    ' if ok else 'FAILED'} {what}{f': {detail}' if detail else ''}")
    if not ok:
        failures.append(what)


def numbers(page, selector):
    texts = page.locator(selector).evaluate_all("cells => cells.map(cell => cell.dataset.sort)")
    return [float(text) for text in texts if text]


def altered(name, alter):
    """The report with other data: a page of its own in FOLDER. Its script, and so its hash, stays."""
    page = report.read_text(encoding="utf-8")
    start = page.index('id="data">') + len('id="data">')
    end = page.index("</script>", start)
    data = json.loads(page[start:end])
    alter(data)
    path = folder / f"{name}.html"
    path.write_text(page[:start] + json.dumps(data).replace("<", "\\u003c") + page[end:], encoding="utf-8")
    return path.resolve()


def with_failed_model(place):
    """One more model at a place among the others: all its rows failed."""

    def moved(model):
        return model + 1 if model is not None and model >= place else model

    def alter(data):
        n_methods, n_metrics, n_images = (len(data[key]) for key in ("methods", "metrics", "images"))
        for entry in data["curves"] + data["shown"]:
            entry["model"] = moved(entry["model"])
        for contrast in data["contrasts"]["methods"]:
            contrast["within"] = moved(contrast["within"])
        for contrast in data["contrasts"]["models"]:
            contrast["items"] = [moved(model) for model in contrast["items"]]
        data["models"].insert(place, {"name": "failed model", "layer": "last"})
        data["agreement"].insert(place, [[None] * n_metrics] * n_metrics)
        data["fronts"].insert(place, [{"passes": [], "executed": [], "secs": []}] * n_metrics)
        nothing = {"means": [None] * n_metrics, "cost": None, "values": [[None] * n_images] * n_metrics, "status": "f" * n_images}
        for key, cell in nothing.items():
            data[key][place * n_methods : place * n_methods] = [cell] * n_methods

    return alter


def with_better_model(data):
    """A second model that is better than the first by the first metric; by the second it would be, if none else were
    compared."""
    with_failed_model(1)(data)
    data["models"][1]["name"] = "better model"

    def contrast(metric, alone, p):
        difference = [-500 * metric["better"], *sorted([-900 * metric["better"], -100 * metric["better"]])]
        pair = [0, 1, 1000, *difference, alone, p, 300, p < 0.05, False]
        return {"within": 0, "metric": metric["name"], "items": [0, 1], "pairs": [pair], "ranks": None}

    first, second = data["metrics"][:2]
    data["contrasts"]["models"] = [contrast(first, 0.001, 0.002), contrast(second, 0.04, 0.08)]


def free(data):
    """All methods as controls that need no pass."""
    for cost in filter(None, data["cost"]):
        cost["passes"] = cost["executed"] = {"cost": 0, "at": 1}


def in_halves(data):
    """The second method is above the first on the first half of the images and below it on the others, by every metric."""
    n_metrics, n_images = len(data["metrics"]), len(data["images"])
    above = n_images // 2
    data["values"][:2] = [[[5000] * n_images] * n_metrics, [[6000] * above + [4000] * (n_images - above)] * n_metrics]


def with_unlike_pairs(data):
    """The first two methods have no image in common, the first and the third the same scores, by every metric."""

    def alike(pair):
        pair[3:] = [0, 0, 0, 1, 1, 0.05, False, True]
        return pair

    for contrast in data["contrasts"]["methods"]:
        pairs = [(sorted(contrast["items"][i] for i in pair[:2]), pair) for pair in contrast["pairs"]]
        contrast["pairs"] = [alike(pair) if of == [0, 2] else pair for of, pair in pairs if of != [0, 1]]


# Text against all that it may stand on, by WCAG 2: the worst ratio with its two colors.
FAINTEST_TEXT = """() => {
    const probe = document.body.appendChild(document.createElement('i'));
    const luminance = (name) => {
        probe.style.color = `var(--${name})`;
        const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3)
            .map((x) => x / 255).map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratios = ['ink', 'quiet', 'accent', 'good', 'bad'].flatMap((text) => ['paper', 'card', 'soft'].map((back) => {
        const [a, b] = [luminance(text), luminance(back)];
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), `${text} on ${back}`];
    }));
    probe.remove();
    return ratios.sort((a, b) => a[0] - b[0])[0];
}"""


def check_text(page, name):
    ratio, colors = page.evaluate(FAINTEST_TEXT)
    check(f"has text of at least 4.5:1, {name}", ratio >= 4.5, f"{ratio:.2f}, {colors}")


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

    def opened(report=report, **options):
        context = browser.new_context(**options)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: (page.said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.asked.append(request.url))
        start = time.monotonic()
        page.goto(report.as_uri(), wait_until="load")
        page.locator("html.js").wait_for(state="attached")
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        page.took = time.monotonic() - start
        return page

    opened().context.close()  # the first page pays for the browser's own start
    page = opened(viewport={"width": 1280, "height": 900}, color_scheme="light")
    size = report.stat().st_size / 1e6
    check(f"opens in less than {limit:g} s", page.took < limit, f"{page.took:.2f} s, {size:.1f} MB")
    outside = [url for url in page.asked if not url.startswith(("data:", report.as_uri()))]
    check("asks nobody for anything", not outside, ", ".join(outside))
    check("has no element of a name's making", page.locator("main b:text-is('3.jpg'), img[src='x'], main i:text-is('run')").count() == 0)

    sizes = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    check("is no wider than the window", sizes[0] <= sizes[1], f"{sizes}")
    page.screenshot(path=folder / "light.png", full_page=True)

    last = "table.scores >> nth=0 >> tbody tr:not([hidden]) td:nth-last-child(2)"
    button = page.locator("table.scores >> nth=0 >> thead th:nth-last-child(2) button")
    button.focus()
    page.keyboard.press("Enter")
    once = numbers(page, last)
    page.keyboard.press("Enter")
    twice = numbers(page, last)
    check("sorts by keyboard, both ways", once == sorted(twice, reverse=True) and twice == sorted(once) or once == sorted(once) and twice == sorted(once, reverse=True), f"{once[:3]}, {twice[:3]}")
    names = page.locator("table.scores >> nth=0 >> tbody th")
    word = names.nth(1).inner_text().split("\n")[0]
    page.get_by_label("Filter methods").fill(word)
    shown = page.locator("table.scores >> nth=0 >> tbody tr:not([hidden]) th").all_inner_texts()
    check("filters methods", 0 < len(shown) <= names.count() and all(word.lower() in text.lower() for text in shown), word)
    page.get_by_label("Filter methods").fill("")

    data = json.loads(page.locator("#data").text_content())

    def heading(option):
        """The metric that the page asks for in this place: one that has a mean."""
        return [metric["heading"] for i, metric in enumerate(data["metrics"]) if any(means[i] is not None for means in data["means"])][option]

    if page.locator("#two").count():
        selects = page.locator("form[data-for=two-methods] select")
        one, other = (selects.nth(selects.count() - i) for i in (2, 1))
        answer = page.locator("#two-said")
        first = answer.inner_text()
        forth = [page.locator("#two-answer tbody td:nth-child(3)").all_inner_texts(), one.input_value(), other.input_value()]
        one.select_option(forth[2])
        check("has no answer where both are one", answer.inner_text().endswith("Choose two."), answer.inner_text())
        other.select_option(forth[1])
        back = page.locator("#two-answer tbody td:nth-child(3)").all_inner_texts()
        turned = {"+": "−", "−": "+"}
        signs = [text[0] for text in forth[0]]
        check("answers which of two is better, whichever comes first", [turned.get(s, s) for s in signs] == [text[0] for text in back], f"{first}")
        n = sum(len(contrast["pairs"]) for contrast in data["contrasts"]["methods"])
        heads = page.locator("#two-answer thead th").all_inner_texts()
        note = page.locator("#two-answer .note").inner_text()
        if n > 1:
            check("has p alone and p corrected", heads[3:5] == ["p, this pair alone", f"p, corrected for all {n:,} comparisons"], f"{heads}")
            check("says which p to take", f"all {n:,} comparisons" in note and "Who fixed this one comparison before looking may take the first" in note)
            ps = [[0 if text.startswith("<") else float(text) for text in page.locator(f"#two-answer tbody td:nth-child({column})").all_inner_texts() if text != "–"] for column in (4, 5)]
            check("corrects p upwards", all(alone <= p for alone, p in zip(*ps)), f"{ps}")
        by_chance = [
            (contrast["within"], contrast["items"][pair[0]], contrast["items"][pair[1]])
            for contrast in data["contrasts"]["methods"]
            for pair in contrast["pairs"]
            if pair[6] is not None and pair[6] < 0.05 and not pair[9]
        ]
        if by_chance:
            model, a, b = by_chance[0]
            if len(data["models"]) > 1:
                selects.first.select_option(str(model))
            one.select_option(str(a))
            other.select_option(str(b))
            told = f"among {n:,} comparisons"
            cells = [text for text in page.locator("#two-answer td.said").all_inner_texts() if f"significant alone, not {told}" in text]
            check("says that the difference alone would be significant", bool(cells) and "lone, " in answer.inner_text() and told in answer.inner_text(), answer.inner_text())
            check("calls neither better where the corrected p does not", all(text.startswith("not significant") for text in cells), f"{cells}")
        check("asks for models only where there are several", (page.locator("form[data-for=two] select").count() > 0) == (len(data["contrasts"]["models"]) > 0 and len(data["contrasts"]["methods"]) > 0))
        page.locator("#two").screenshot(path=folder / "two.png")

    if page.locator("#differences").count():
        rows = page.locator("#differences-chart tbody tr").count()
        check("draws paired differences", rows > 0 and page.locator("#differences-chart svg").count() > rows)
        dots = page.locator("#differences-chart tbody tr").evaluate_all("rows => rows.map(row => row.querySelectorAll('.dot').length)")
        most, said = min(len(data["images"]), 250), page.locator("#differences-chart > .note").inner_text()
        check("draws no more dots than it says", max(dots, default=0) <= most and (most == data["n_images"] or f"{most} of {data['n_images']:,} images are drawn" in said), f"{max(dots, default=0)} dots: {said}")
        metric = page.locator("form[data-for=differences]").get_by_label("Metric")
        if metric.count():
            metric.select_option(index=0)
            check("draws average ranks", page.locator("#ranks svg, #ranks p").count() > 0)
            said = page.locator("#pairs caption").inner_text()
            check("says which metric and model every pair is of", said.startswith(f"{heading(0)}, {data['models'][0]['name']}, "), said)
        cells = page.locator("#pairs tbody td:not(.self)").evaluate_all("cells => cells.map(cell => [cell.classList.contains('told'), cell.textContent])")
        wrong = [text for told, text in cells if told != ("*" in text) or not (text == "– no image in common" or " p" in text and ", n = " in text)]
        check("marks what is significant, and says p and n of every pair", bool(cells) and not wrong, f"{cells[:1]}; {wrong[:3]}")
    if page.locator("#curves").count():
        check("draws curves", page.locator("#curves-chart path.line").count() > 0)
        before = page.locator("#curves-chart path.line").count()
        page.locator("#curves-legend button").first.click()
        check("hides a method's curves", page.locator("#curves-chart path.line").count() < before)
        page.locator("#curves-legend button").first.click()
    check("draws the front", page.locator("#front-chart circle").count() > 0)
    title = page.locator("#front-chart svg text[transform*=rotate]").all_text_contents()
    drawn, table = page.locator("#front-chart circle").count(), page.locator("#front-table tbody tr").count()
    check("has every point of the front in a table", 0 < drawn <= table, f"{drawn} points, {table} rows")
    check("has a title on the axis of quality", len(title) == 1 and title[0].endswith(", percent"), f"{title}")

    agreed = page.locator("#agreement-table td:not(.self)").evaluate_all("cells => cells.filter(cell => cell.hasAttribute('style')).map(cell => cell.textContent)")
    check("says over how many images metrics agree", all(" over " in text and " image" in text for text in agreed), f"{agreed[:1]}")

    images = page.locator("#image-list button")
    if images.count():
        images.nth(images.count() - 1).click()
        name = page.locator("#image-name").inner_text()
        images.nth(images.count() - 1).press("ArrowLeft")
        other = page.locator("#image-name").inner_text()
        check("opens an image, and the one before by keyboard", images.count() < 2 or name != other, f"{name}, {other}")
        broken = page.evaluate("() => [...document.images].filter(i => !i.complete || !i.naturalWidth).length")
        check("shows every picture", broken == 0, f"{page.locator('#image img').count()} pictures")
        page.locator("#images").screenshot(path=folder / "images.png")

    total = page.locator("form[data-for=rows] output").inner_text()
    following = page.locator("#rows-pager button").nth(1)
    if following.is_enabled():
        following.click()
        check("turns a page of rows", "page 2 " in page.locator("#rows-pager").inner_text())
    page.get_by_label("Filter by image, method or model").fill("no such row")
    check("filters rows", page.locator("#rows-table tbody tr").count() == 0, total)
    page.get_by_label("Filter by image, method or model").fill("")
    page.locator("#rows-table thead button").last.click()
    check("sorts rows", page.locator("#rows-table th[aria-sort]").count() == 1)

    unnamed = page.evaluate("""() => [...document.querySelectorAll('button, select, input, [role=region], svg[role=img], img')].filter(e =>
        !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length || e.alt !== undefined)).map(e => e.outerHTML.slice(0, 80))""")
    check("every control and chart has a name", not unnamed, "; ".join(unnamed))
    check("says nothing on the console", not page.said, "; ".join(page.said))
    sections = ("two", "controls", "scores", "differences", "curves", "cost", "agreement", "images", "rows", "about")
    unlinked = [name for name in sections if page.locator(f"#{name}").count() != page.locator(f"nav a[href='#{name}']").count()]
    check("links to every section that is there, and no other", not unlinked, ", ".join(unlinked))
    nameless = page.evaluate("() => [...document.querySelectorAll('table')].filter(t => !t.caption?.textContent.trim()).map(t => t.outerHTML.slice(0, 80))")
    check("every table has a caption", not nameless, "; ".join(nameless))
    low = page.evaluate("() => [...document.querySelectorAll('th button')].map(b => b.getBoundingClientRect().height).filter(height => height > 0 && height < 24)")
    check("sorts by buttons that are large enough", not low, f"{low[:3]}")
    check_text(page, "light")

    page.locator("#theme").click(click_count=2)
    check("can be dark", page.locator("#theme").inner_text() == "Dark")
    page.emulate_media(media="print")
    paper = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    check("is white on paper, even where the screen is dark", paper == "rgb(255, 255, 255)", paper)
    check_text(page, "print")
    for drawing in ("#two-answer caption", "#differences-chart caption", "#pairs caption", "#ranks .shows", "#curves-chart .shows", "#front-chart .shows", "#agreement-table caption"):
        if page.locator(drawing.split()[0]).count() and page.locator(f"{drawing.split()[0]} :is(svg, table)").count():
            said = page.locator(drawing)
            text = said.inner_text() if said.count() == 1 and said.is_visible() else ""
            check(f"says on paper what it shows, {drawing}", data["models"][0]["name"] in text or "under" in text, text)
    bad = page.locator("#bad ~ .scroll table")
    check("prints the rows without a score, not those that the script turns", bad.count() == page.locator("#bad ~ .scroll table:visible").count() and page.locator("#rows-table").is_hidden(), f"{bad.locator('tbody tr').count()} rows")
    closed = page.locator("details:not([open])").count()
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    check("prints what is folded", closed > 0 and page.locator("details:not([open])").count() == 0, f"{closed} folded")
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    check("folds again after printing", page.locator("details:not([open])").count() == closed)
    page.pdf(path=folder / "print.pdf", format="A4")
    page.context.close()

    for name, options in {
        "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
        "narrow": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2},
    }.items():
        page = opened(**options)
        sizes = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        check(f"is no wider than the window, {name}", sizes[0] <= sizes[1], f"{sizes}")
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        check_text(page, name)
        if name == "narrow":
            hidden = page.evaluate("""() => [...document.querySelectorAll('#two-answer tbody td:nth-child(-n+3), #differences-chart tbody td:nth-child(-n+3)')]
                .filter(cell => { const { left, right } = cell.getBoundingClientRect(); return left < 0 || right > innerWidth; }).map(cell => cell.textContent)""")
            check("shows verdicts and differences without scrolling", not hidden, f"{hidden[:3]}")
            axis = page.evaluate("""() => [...document.querySelectorAll('#ranks svg text[text-anchor=middle]')].map(tick => tick.getBoundingClientRect()).map(({ left, right }) => [left, right])""")
            if page.locator("#ranks svg").count():
                apart = all(before[1] < after[0] for before, after in zip(axis, axis[1:]))
                check("has ranks whose numbers stand apart", bool(axis) and apart, f"{axis}")
                wide = page.evaluate("() => { const xs = [...document.querySelectorAll('#ranks svg circle')].map(dot => dot.getBoundingClientRect().left); return Math.max(...xs) - Math.min(...xs); }")
                check("spreads ranks over the phone", len(axis) < 3 or axis[-1][1] - axis[0][0] > 120, f"{axis}, dots {wide:.0f}")
        check(f"says nothing on the console, {name}", not page.said, "; ".join(page.said))
        page.context.close()

    for name, place in {"failed-first": 0, "failed-second": 1}.items():
        page = opened(altered(name, with_failed_model(place)))
        check(f"has its rows, {name}", page.locator("#rows-table tbody tr").count() > 0)
        selects = page.locator("form:not([data-for=two-models]) select").filter(has=page.locator("option", has_text="failed model"), visible=True)
        has_images = page.locator("#images").count()

        def choose(model):
            for select in selects.all():
                select.select_option(index=model)

        selects.first.select_option(index=1 - place)
        values = {select.input_value() for select in selects.all()}
        check(f"shows one model in every section, {name}", values == {str(1 - place)}, f"{values}")
        choose(1 - place)
        check(f"draws the model that has scores, {name}", page.locator("#front-chart circle").count() > 0 and (not has_images or page.locator("#image h3").count() > 0))
        choose(place)
        check(f"says that there is nothing to draw, {name}", page.locator("#front-chart > .note").count() == 1 and (not has_images or page.locator("#image > .note").count() == 1))
        check(f"leaves nothing of the other model, {name}", page.locator("#front-chart svg, #image h3, #image img, #differences-chart svg, #curves-chart svg").count() == 0)
        check(f"says nothing on the console, {name}", not page.said, "; ".join(page.said))
        page.context.close()

    page = opened(altered("better-model", with_better_model), viewport={"width": 390, "height": 844})
    if page.locator("#two").count() and len(json.loads(page.locator("#data").text_content())["metrics"]) > 2:
        asked = page.locator("form[data-for=two] select")
        check("asks whether methods or models are compared", asked.count() == 1 and page.locator("form[data-for=two-models]").is_hidden())
        asked.select_option("models")
        newer, older, under = page.locator("form[data-for=two-models] select").all()
        answer = page.locator("#two-said").inner_text()
        check("answers whether the new model is better than the old", (newer.input_value(), older.input_value()) == ("1", "0") and answer.startswith("better model is better by "), answer)
        check("counts comparisons of models alone", "among 2 comparisons it is not" in answer and "all 2 comparisons of models" in page.locator("#two-answer .note").inner_text(), answer)
        check("asks for a method, and for no model of methods", under.is_visible() and page.locator("form[data-for=two-methods]").is_hidden())
        sizes = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        check("is no wider than the window, models", sizes[0] <= sizes[1], f"{sizes}")
        page.locator("#two").screenshot(path=folder / "models.png")
        asked.select_option("methods")
        check("goes back to methods", page.locator("form[data-for=two-methods]").is_visible() and "model" not in page.locator("#two-title").inner_text())
    check("says nothing on the console, better-model", not page.said, "; ".join(page.said))
    page.context.close()

    page = opened(altered("free", free))
    check("draws what costs nothing", page.locator("#front-chart circle").count() > 0 and page.locator("#rows-table tbody tr").count() > 0)
    check("says nothing on the console, free", not page.said, "; ".join(page.said))
    page.context.close()

    page = opened(altered("halves", in_halves))
    if page.locator("#differences").count():
        page.locator("form[data-for=differences]").get_by_label("Minus").select_option("0")
        row = page.locator("#differences-chart tbody tr").filter(has=page.get_by_role("rowheader", name=data["methods"][1]["label"], exact=True))
        halves = [row.locator(f".dot.{side}").count() for side in ("better", "worse")]
        check("draws dots of the first images and of the last alike", row.count() == 0 or abs(halves[0] - halves[1]) <= 1 < sum(halves), f"{halves}")
    page.context.close()

    page = opened(altered("unlike-pairs", with_unlike_pairs))
    if page.locator("#differences").count() and len(data["methods"]) > 2:
        page.locator("form[data-for=differences]").get_by_label("Minus").select_option("0")
        labels = [method["label"] for method in data["methods"][1:3]]
        said = {row[0]: row[1] for row in page.locator("#differences-chart tbody tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")}
        there = [(said[label], expected) for label, expected in zip(labels, ("no image in common", "the same scores")) if label in said]
        check("says of two what they have in common", all(is_said == expected for is_said, expected in there), f"{there}")
        selects = page.locator("form[data-for=two-methods] select")
        one, other = (selects.nth(selects.count() - i) for i in (2, 1))
        answers = []
        for method in ("1", "2"):
            one.select_option("0")
            other.select_option(method)
            answers.append(page.locator("#two-said").inner_text())
        scored = all(any(mean is not None for mean in data["means"][method]) for method in range(3))
        check("answers that two have no image in common, or the same scores", not scored or answers[0] == "The two have no image in common." and answers[1].endswith("the two have the same scores."), f"{answers}")
    check("says nothing on the console, unlike-pairs", not page.said, "; ".join(page.said))
    page.context.close()

    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    check("reads without its script", page.locator("table.scores tbody tr").count() > 0 and page.locator("#differences").is_hidden())
    browser.close()

print(f"pictures are in {folder}")
sys.exit(1 if failures else 0)

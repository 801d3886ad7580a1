"""Looks at a report in a real, headless Chromium: browse.py CHROMIUM REPORT.html FOLDER [seconds]

Checks that it sorts, filters, opens an image, turns a page of rows and draws every chart, that nothing is said on the
console, that no request leaves the page, that no markup of a name became an element, and that it opens in time. Then the
same page with data of which little can be drawn: a model without a score, methods that cost nothing. Leaves pictures of it
in light, dark, narrow and printed form in FOLDER.
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

    def alter(data):
        n_methods, n_metrics, n_images = (len(data[key]) for key in ("methods", "metrics", "images"))
        for entry in data["contrasts"] + data["curves"] + data["shown"]:
            if entry["model"] is not None and entry["model"] >= place:
                entry["model"] += 1
        data["models"].insert(place, {"name": "failed model", "layer": "last"})
        data["agreement"].insert(place, [[None] * n_metrics] * n_metrics)
        data["fronts"].insert(place, [{"passes": [], "executed": [], "secs": []}] * n_metrics)
        nothing = {"means": [None] * n_metrics, "cost": None, "values": [[None] * n_images] * n_metrics, "status": "f" * n_images}
        for key, cell in nothing.items():
            data[key][place * n_methods : place * n_methods] = [cell] * n_methods

    return alter


def free(data):
    """All methods as controls that need no pass."""
    for cost in filter(None, data["cost"]):
        cost["passes"] = cost["executed"] = {"cost": 0, "at": 1}


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

    if page.locator("#two").count():
        selects = page.locator("#two select")
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
        page.locator("#two").screenshot(path=folder / "two.png")

    if page.locator("#differences").count():
        rows = page.locator("#differences-chart tbody tr").count()
        check("draws paired differences", rows > 0 and page.locator("#differences-chart svg").count() > rows)
        metric = page.locator("form[data-for=differences]").get_by_label("Metric")
        if metric.count():
            metric.select_option(index=0)
            check("draws average ranks", page.locator("#ranks svg, #ranks p").count() > 0)
    if page.locator("#curves").count():
        check("draws curves", page.locator("#curves-chart path.line").count() > 0)
        before = page.locator("#curves-chart path.line").count()
        page.locator("#curves-legend button").first.click()
        check("hides a method's curves", page.locator("#curves-chart path.line").count() < before)
        page.locator("#curves-legend button").first.click()
    check("draws the front", page.locator("#front-chart circle").count() > 0)

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
    page.emulate_media(media="print")
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
        check(f"says nothing on the console, {name}", not page.said, "; ".join(page.said))
        page.context.close()

    for name, place in {"failed-first": 0, "failed-second": 1}.items():
        page = opened(altered(name, with_failed_model(place)))
        check(f"has its rows, {name}", page.locator("#rows-table tbody tr").count() > 0)
        selects = page.locator("select").filter(has=page.locator("option", has_text="failed model"))
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

    page = opened(altered("free", free))
    check("draws what costs nothing", page.locator("#front-chart circle").count() > 0 and page.locator("#rows-table tbody tr").count() > 0)
    check("says nothing on the console, free", not page.said, "; ".join(page.said))
    page.context.close()

    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    check("reads without its script", page.locator("table.scores tbody tr").count() > 0 and page.locator("#differences").is_hidden())
    browser.close()

print(f"pictures are in {folder}")
sys.exit(1 if failures else 0)

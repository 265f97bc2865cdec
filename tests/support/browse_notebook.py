"""Run all cells of a notebook in JupyterLab, in a browser; prints what the page shows as JSON, and takes its picture.

`python browse_notebook.py BROWSER URL NOTEBOOK COUNT PICTURE`, where URL is JupyterLab's, with its token, and COUNT is
how many cells of code there are: the page draws them little by little.
"""

from __future__ import annotations

import json
import sys
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

END_MS = 20_000


def shown(cell):
    return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())


def browse(page, url, notebook, count):
    about = urlsplit(url)
    page.goto(f"{about.scheme}://{about.netloc}/lab/tree/{notebook}?reset&{about.query}")  # nothing else is open
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    cells = page.locator(".jp-CodeCell")
    page.locator(".jp-CodeCell .jp-InputPrompt", has_text=f"[{count}]:").wait_for()
    outputs = []
    for number in range(int(count)):  # only what is in sight is sure to be drawn
        cells.nth(number).scroll_into_view_if_needed()
        outputs.append(shown(cells.nth(number)))
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count()
    cells.nth(1).scroll_into_view_if_needed()
    return {
        "outputs": outputs,
        "errors": errors,
        "notices": page.locator(".Toastify__toast, dialog").all_inner_texts(),
        "panels": page.locator(".jp-SideBar [data-id]").evaluate_all("tabs => tabs.map(tab => tab.dataset.id)"),
    }


program, *about, picture = sys.argv[1:]
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
    try:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(END_MS)
        try:
            print(json.dumps(browse(page, *about)))
        finally:
            page.screenshot(path=picture)
    finally:
        browser.close()

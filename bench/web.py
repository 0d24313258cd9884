"""Speed of the web interface on a large site, in Chromium: how soon it is there, how it moves.

    python -m bench.web

starts a service with 1,000 simulated hosts, gives it 20,000 advance reservations over a week, and
looks at the timeline as an operator does. Times are the browser's; the pictures are counted
that it draws while somebody drags. Then the service goes on as a process of its own, and is
asked for leases with and without 50 pages open (:mod:`bench.pages`). It writes
bench/results/web.json; ``python -m bench --page`` writes docs/performance.md from it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from real_service import RealService

from bench.pages import beside_each_other
from haizea.core.model.lease import Draft, Kind, Nodes
from haizea.service_types import Decided

HOSTS, RESERVATIONS = 1_000, 20_000
RESULT = Path(__file__).parent / "results" / "web.json"
WEEK = 7 * 86_400
_FRAMES = """async () => {
  let frames = 0, on = true;
  const count = () => { frames += 1; if (on) requestAnimationFrame(count); };
  requestAnimationFrame(count);
  const canvas = document.querySelector("canvas.plot"), box = canvas.getBoundingClientRect();
  const send = (type, x) => canvas.dispatchEvent(new PointerEvent(type, {
    pointerId: 1, clientX: box.left + x, clientY: box.top + 200, bubbles: true, isPrimary: true }));
  canvas.setPointerCapture = () => {};
  send("pointerdown", 700);
  const began = performance.now();
  let x = 700;
  await new Promise((done) => {
    const step = () => {
      x -= 3;
      send("pointermove", x);
      if (performance.now() - began < 2000) requestAnimationFrame(step); else done();
    };
    requestAnimationFrame(step);
  });
  const seconds = (performance.now() - began) / 1000;
  on = false;
  send("pointerup", x);
  return frames / seconds;
}"""


def fill(service: RealService, count: int) -> int:
    """Have so many reservations made; the number of those that were accepted."""
    chance = random.Random(1)
    now = service.manager.now()
    accepted = 0
    while accepted < count:
        futures: list[Future[Decided]] = []
        for _ in range(min(400, count - accepted + 20)):
            start = now + 600 + 300 * chance.randint(0, WEEK // 300)
            nodes, cpu = chance.randint(1, 6), chance.choice([200, 400])
            draft = Draft(
                kind=Kind.AR,
                nodes=(Nodes(nodes, {"CPU": cpu, "Memory": 4096}),),
                duration=900 * chance.randint(2, 8),
                start=start,
                label="a class",
                owner=chance.choice(["anna", "bert", "carla", "dora"]),
            )
            futures.append(service.manager.submit(draft, None))
        accepted += sum(f.result().record.state != "Rejected" for f in futures)
    return accepted


def signed_in(service: RealService, context: Any) -> None:
    """Give a browser a session."""
    answer = httpx.post(f"{service.url}/v1/session", json={"token": service.secret})
    context.add_cookies(
        [{"name": k, "value": v, "url": service.url} for k, v in answer.cookies.items()]
    )


def opened(page: Page, url: str) -> float:
    """Seconds until the timeline of a week is drawn, by the browser's own clock."""
    now = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    page.goto("about:blank")
    page.goto(f"{url}/#/timeline?hours=168&from={now}")
    script = "document.querySelector('canvas.plot')?.getAttribute('aria-label')"
    page.evaluate(
        "() => { window.seen = null; const look = () => { if (" + script + ") window.seen ="
        " performance.now(); else requestAnimationFrame(look); }; look(); }"
    )
    while page.evaluate("window.seen") is None:
        time.sleep(0.02)
    return float(page.evaluate("window.seen")) / 1000


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        service = RealService(Path(folder), 1, f"{HOSTS} CPU:400 Memory:16384")
        service.start()
        count = fill(service, RESERVATIONS)
        with sync_playwright() as playwright:
            path = os.environ.get("HAIZEA_CHROMIUM") or shutil.which("chromium")
            path = path or shutil.which("chromium-headless-shell")
            options = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=path, args=options)
            context = browser.new_context(viewport={"width": 1600, "height": 1000})
            signed_in(service, context)
            page = context.new_page()
            seconds = [opened(page, service.url) for _ in range(5)]
            frames = [float(page.evaluate(_FRAMES)) for _ in range(3)]
            page.get_by_label("How high rows are").select_option("small")
            low = [float(page.evaluate(_FRAMES)) for _ in range(3)]
            browser.close()
        service.stop()
        answers = beside_each_other(Path(folder))
    result = {
        "reservations": count,
        "hosts": HOSTS,
        "load_average": round(os.getloadavg()[0], 1),
        "first_seconds": round(seconds[0], 2),
        "again_seconds": round(median(seconds[1:]), 2),
        "frames": round(median(frames)),
        "low_frames": round(median(low)),
        **answers,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))
    os._exit(0)


if __name__ == "__main__":
    main()

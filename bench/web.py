"""Speed of the web interface on a large site, in Chromium: how soon it is there, how it moves.

    python -m bench.web

starts a service with 1,000 simulated hosts, gives it 20,000 advance reservations over a week, and
looks at the timeline as an operator does. Times are the browser's; the pictures are counted
that it draws while somebody drags. Then the service is asked for leases one by one, alone and
while 50 clients in a process of their own do what open pages do: follow events, and load a day
of the timeline every four seconds. Both take turns, so that what drifts meanwhile counts on
both sides. It writes bench/results/web.json; ``python -m bench --page`` writes
docs/performance.md from it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from real_service import RealService

from haizea.api.manager import Decided, Draft
from haizea.core.model.lease import Kind

HOSTS, RESERVATIONS, PAGES = 1_000, 20_000, 50
ROUNDS, SECONDS = 3, 10
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
            nodes = ((chance.randint(1, 6), {"CPU": chance.choice([200, 400]), "Memory": 4096}),)
            seconds = 900 * chance.randint(2, 8)
            draft = Draft(kind=Kind.AR, nodes=nodes, duration=seconds, start=start, label="a class")
            owner = chance.choice(["anna", "bert", "carla", "dora"])
            futures.append(service.manager.submit(draft, owner, None))
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


def timed(service: RealService, seconds: float) -> list[float]:
    """Milliseconds of requests for so long, each cancelled again; all pages see these leases."""
    headers = {"Authorization": f"Bearer {service.secret}"}
    body = {"duration": 600, "nodes": [{"count": 1, "resources": {"CPU": 100}}], "start": "+12h"}
    found = []
    until = time.monotonic() + seconds
    with httpx.Client(base_url=service.url, headers=headers, trust_env=False, timeout=60) as client:
        while time.monotonic() < until:
            began = time.perf_counter()
            answer = client.post("/v1/leases", content=json.dumps(body))
            found.append(1000 * (time.perf_counter() - began))
            client.delete(f"/v1/leases/{answer.json()['lease']['id']}")
            time.sleep(0.05)
    return found


def follow(url: str, secret: str, pages: int, loads: Any) -> None:
    """Have so many clients do what an open page does: follow, and load the timeline anew.

    They have a process of their own, as browsers have, and give way to the service: browsers
    are on other machines. ``loads`` counts how often any of them was given the timeline.
    """
    os.nice(19)
    since = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime())
    until = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(time.time() + 86_400))
    headers = {"Authorization": f"Bearer {secret}"}

    def work() -> None:
        try:
            look()
        finally:
            # One that stops ends all: fewer of them would be another measurement.
            os._exit(1)

    def look() -> None:
        with (
            httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client,
            client.stream("GET", "/v1/events", timeout=None) as stream,
        ):
            loaded = 0.0
            period = {"since": since, "until": until}
            tag: dict[str, str] = {}
            for _ in stream.iter_lines():
                if time.monotonic() - loaded > 4:
                    loaded = time.monotonic()
                    answer = client.get("/v1/timeline", params=period, headers=tag)
                    assert answer.status_code in {200, 304}, answer.text
                    tag = {"If-None-Match": answer.headers["etag"]}
                    with loads.get_lock():
                        loads.value += 1

    threads = [threading.Thread(target=work) for _ in range(pages)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def followed(service: RealService, pages: int, loads: Any) -> Iterator[None]:
    """Have so many clients look meanwhile; they have connected, or failed, before it begins."""
    followers = get_context("spawn").Process(
        target=follow, args=(service.url, service.secret, pages, loads), daemon=True
    )
    followers.start()
    for _ in range(60):
        timed(service, 1)
        assert followers.is_alive(), "the clients that look ended at once"
        if loads.value >= pages:
            break
    assert loads.value >= pages, "not all clients that look are there"
    try:
        yield
        assert followers.is_alive(), "the clients that look ended before the measurement did"
    finally:
        followers.kill()
        followers.join()


def beside_each_other(service: RealService) -> dict[str, float]:
    """Milliseconds until an answer, alone and with pages open, which take turns."""
    alone: list[float] = []
    beside: list[float] = []
    slower: list[float] = []
    answered, seconds = 0, 0.0
    for _ in range(ROUNDS):
        timed(service, 1)
        without = timed(service, SECONDS)
        loads = get_context("spawn").Value("q", 0)
        with followed(service, PAGES, loads):
            before, began = loads.value, time.monotonic()
            together = timed(service, SECONDS)
            answered += loads.value - before
            seconds += time.monotonic() - began
        slower.append(100 * (median(together) / median(without) - 1))
        print(f"alone {median(without):.1f} ms, beside {median(together):.1f} ms", flush=True)
        alone, beside = alone + without, beside + together
    return {
        "alone_ms": round(median(alone), 1),
        "beside_ms": round(median(beside), 1),
        "slower_percent": round(median(slower)),
        "loads_per_second": round(answered / seconds, 1),
    }


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        service = RealService(Path(folder), 1, f"{HOSTS} CPU:400 Memory:16384")
        service.start()
        count = fill(service, RESERVATIONS)
        with sync_playwright() as playwright:
            path = os.environ.get("HAIZEA_CHROMIUM") or shutil.which("chromium")
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
        answers = beside_each_other(service)
        service.stop()
    result = {
        "reservations": count,
        "hosts": HOSTS,
        "pages": PAGES,
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

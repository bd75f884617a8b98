"""Write the pictures of the import page in `docs/page`: by `make screenshots`, in two minutes.

It imports the demo's files in a folder of its own, serves the page there, and does in Chromium what
a person would: sends a file, looks at its check, imports it, and looks at what became of it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, FloatRect, Page, ViewportSize, sync_playwright

TARGET = Path("docs/page")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDE = ViewportSize(width=1200, height=800)
PHONE = ViewportSize(width=390, height=844)
COMMAND = (sys.executable, "-m", "csv_pipeline.cli")
SECONDS_TO_START = 120
FONTS = ("Inter", "Noto Sans", "Liberation Sans")
ACCOUNT, FEED = "cove", "ebay_orders"
HEADER = "Order ID,Buyer Name,Order Total,Order Date,Order Status,Lieferdatum\n"
ROWS_OF_A_YEAR = 400_000


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Import the demo's files in a folder, serve it, and give the page's address."""
    page, dagster = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    environment = os.environ | {
        "CSV_PIPELINE_HOME": str(home),
        "CSV_PIPELINE_DAGSTER_URL": dagster,
        "DAGSTER_HOME": str(home / "dagster"),
    }
    run = [*COMMAND, "demo"]
    subprocess.run(run, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # ours
    port = page.rpartition(":")[2]
    server = subprocess.Popen([*COMMAND, "serve", "--port", port], env=environment)  # noqa: S603  # ours
    try:
        wait_until_it_answers(int(port))
        yield page
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(port: int) -> None:
    """Return as soon as something listens on a port."""
    for _ in range(SECONDS_TO_START):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(1)
    raise TimeoutError(port)


def a_week_of_orders(folder: Path) -> Path:
    """Write a list that changes some of the demo's orders, brings others, and has faults."""
    path = folder / "orders-week-25.csv"
    lines = []
    for n in range(1, 300):
        order, name = f"7100000000000000{n:03}", "Isla Grant" if n < 60 else "Owen Rees"
        total = "12.5O" if n in {40, 77} else f"{n * 7 % 300 + 1}.95"
        day, sent = f"{n % 28 + 1:02}/06/2026", f"{n % 28 + 2:02}/06/2026" if n >= 60 else ""
        status = "Versendet" if n % 13 == 0 else "delivered" if n % 2 else "shipped"
        lines.append(f"{order},{name},{total},{day},{status},{sent}\n")
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


def a_year_of_orders(folder: Path) -> Path:
    """Write a list that takes long enough to be looked at while it is imported."""
    path = folder / "orders-2025.csv"
    with path.open("w", encoding="utf-8") as out:
        out.write(HEADER)
        out.writelines(
            f"72{n:017},Tom Ashby,{n % 90 + 4}.50,2025-{n % 12 + 1:02}-{n % 28 + 1:02},shipped,\n"
            for n in range(ROWS_OF_A_YEAR)
        )
        out.writelines(
            f"7100000000000000{n},Owen Rees,{n}.95,2025-06-01,returned,\n" for n in range(100, 112)
        )
    return path


def fonts(folder: Path) -> Path:
    """Write which font a page gets that asks for the system's: the first that is installed."""
    path = folder / "fonts.conf"
    names = "".join(f"<string>{name}</string>" for name in FONTS)
    matches = "".join(
        f'<match><test name="family"><string>{asked}</string></test>'
        f'<edit name="family" mode="prepend" binding="strong">{names}</edit></match>'
        for asked in ("system-ui", "sans-serif", "sans")
    )
    path.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd"><fontconfig>'
        f"<include>/etc/fonts/fonts.conf</include>{matches}</fontconfig>"
    )
    return path


class Pictures:
    """What is written of one page in light and dark, and on a phone."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser = browser
        self.address = address

    def open(self, path: str, look: str) -> Page:
        """Open a page as it is in a look: light, dark, or on a phone."""
        phone = look == "phone"
        context = self.browser.new_context(
            base_url=self.address,
            color_scheme="dark" if look == "dark" else "light",
            viewport=PHONE if phone else WIDE,
            device_scale_factor=1.5 if phone else 1,
            has_touch=phone,
            locale="en-GB",
        )
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.goto(path)
        return page

    def take(self, name: str, path: str, looks: Mapping[str, str]) -> None:
        """Write a picture for each look, from the element of each downwards."""
        for look, first in looks.items():
            page = self.open(path, look)
            if first:
                page.locator(first).first.evaluate("one => one.scrollIntoView()")
            shoot(page, f"{name}-{look}")
            page.context.close()


def shoot(page: Page, name: str) -> None:
    """Write what is seen of a page, down to its end."""
    page.mouse.move(0, 0)
    seen, end = page.viewport_size, page.locator("footer").bounding_box()
    assert seen is not None and end is not None  # noqa: S101, PT018  # every page has them
    clip = FloatRect(x=0, y=0, width=seen["width"], height=min(seen["height"], end["y"]))
    page.screenshot(path=TARGET / f"{name}.png", animations="disabled", clip=clip)


def send(page: Page, file: Path, *, check: bool) -> str:
    """Send a file as a person does, and return the address that it is shown at."""
    page.goto("/imports/new")
    page.fill("#account", ACCOUNT)
    page.select_option("#feed", FEED)
    page.set_checked("input[name=check]", check)
    page.set_input_files("#files", file)
    page.wait_for_url(re.compile(r"/imports/[0-9]+"))
    return page.url


def main() -> None:
    """Write all of them."""
    if CHROMIUM is None:
        sys.exit("Chromium was needed: apt-get install chromium")
    with (
        TemporaryDirectory() as folder,
        served(Path(folder) / "data") as address,
        sync_playwright() as playwright,
    ):
        environment: dict[str, str | float | bool] = {
            **os.environ,
            "FONTCONFIG_FILE": str(fonts(Path(folder))),
        }
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--lang=en-GB"], env=environment
        )
        take_all(Pictures(browser, address), Path(folder))
        browser.close()


def take_all(pictures: Pictures, folder: Path) -> None:
    """Do what a person would, and write a picture of each page on the way."""
    pictures.take("overview", "/", {"light": "", "phone": ""})
    page = pictures.open("/", "light")
    check = send(page, a_week_of_orders(folder), check=True)
    page.wait_for_selector("text=Nothing has been stored yet")
    pictures.take("check", check, {"light": "", "dark": "#faults", "phone": ""})
    page.goto(check)
    page.click("button.primary")
    page.wait_for_selector("text=Every row has one outcome")
    number = page.url.rpartition("/")[2]
    pictures.take("outcome", f"/imports/{number}", {"dark": ""})
    pictures.take("rejects", f"/imports/{number}/rejects", {"light": "", "phone": ""})
    send(page, a_year_of_orders(folder), check=False)
    page.wait_for_selector("[aria-current]:has-text('Storing')")
    shoot(page, "running-light")
    page.wait_for_selector("text=Every row has one outcome")
    pictures.take("undo", f"/imports/{number}/undo", {"light": ""})
    pictures.take("history", "/history", {"dark": "", "phone": ""})


if __name__ == "__main__":
    main()

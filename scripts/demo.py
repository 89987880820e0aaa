"""`make demo`: the main job from an empty folder to a rollout that takes itself back, on this machine, without a key.

Everything goes through the doors that a user has: the command line, and an unmodified OpenAI client.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openai import APIStatusError, OpenAI

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "build" / "demo"
QUESTIONS = (
    "How long do I have to return a bike?",
    "What does express delivery cost?",
    "How much is the Electric subscription a month?",
    "Can I bring my e-bike battery on a plane to Mars?",
)
RONDO = [sys.executable, "-m", "rondo.cli.main"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop at the end instead of leaving the server running")
    once: bool = parser.parse_args().once
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that the server is stopped too
    say("A new project: rondo init support-bot")
    shutil.rmtree(DEMO, ignore_errors=True)
    run("init", "support-bot", "--dir", str(DEMO), cwd=ROOT)
    say("The server: rondo up (no key, no model; the baseline quotes the handbook)")
    with server() as url:
        key = (DEMO / ".rondo" / "admin.key").read_text().strip()
        client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
        trace = ask_questions(client)
        give_feedback(url, key, trace)
        if add_real_documentation():
            ask_real_documentation(client)
        release_split_roll_back(client)
        roll_out_what_fails(client)
        say(f"The whole story of one answer: rondo why {trace}")
        print(run("why", trace))
        how_to_use_a_model()
        print(f"\nThe console is at {url}/ (log in with the key in {relative(DEMO / '.rondo' / 'admin.key')}).")
        if not once:
            print("Ctrl-C stops the server.", flush=True)
            wait_for_interrupt()


def ask_questions(client: OpenAI) -> str:
    """Ask the handbook; the trace id of the first answer."""
    say("Questions through the OpenAI client, model = 'support-bot'")
    trace = ""
    for question in QUESTIONS:
        raw = client.chat.completions.with_raw_response.create(
            model="support-bot", messages=[{"role": "user", "content": question}], user="demo-customer"
        )
        trace = trace or raw.headers["x-rondo-trace-id"]
        print(f"  Q: {question}\n  A: {raw.parse().choices[0].message.content}")
        print(f"     {raw.headers['x-rondo-release']}, {raw.headers['x-rondo-trace-id']}\n")
    return trace


def give_feedback(url: str, key: str, trace: str) -> None:
    say("Feedback: POST /v1/feedback")
    body = {"trace_id": trace, "name": "helpful", "value": True, "comment": "Exactly what I needed."}
    print("  " + json.dumps(post(f"{url}/v1/feedback", key, body)))


def add_real_documentation() -> bool:
    """Put real documentation that none of us wrote beside the handbook, where this machine has or can install it."""
    found = next((path for path in DOCUMENTATION if path.is_dir()), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debian-reference-en"]
        subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True, timeout=300)
        subprocess.run(install, check=False, capture_output=True, timeout=300)
        found = next((path for path in DOCUMENTATION if path.is_dir()), None)
    if found is None:
        print("  (Real documentation is skipped: none is installed. `apt-get install debian-reference-en` brings it.)")
        return False
    say(f"Real documentation that none of us wrote: {found}")
    target = DEMO / "knowledge" / "debian"
    target.mkdir()
    for page in sorted(found.glob("*.en.html")) or sorted(found.glob("*.html")):
        shutil.copyfile(page, target / page.name)
    settings = (DEMO / "rondo.toml").read_text()
    (DEMO / "rondo.toml").write_text(
        settings.replace('sources = ["knowledge/handbook"]', 'sources = ["knowledge/handbook", "knowledge/debian"]')
    )
    print(run("release", "-m", "with Debian's documentation"))
    show_evidence("2")
    print(run("promote", "support-bot", "2", "--exception", "More documents, for the demo."))
    return True


DOCUMENTATION = (
    Path("/usr/share/doc/postgresql-doc-15/html"),
    Path("/usr/share/debian-reference"),
    Path("/usr/share/doc/debian-reference-common/html"),
)


def ask_real_documentation(client: OpenAI) -> None:
    for question in ("How do I list the installed packages?", "What does the sudo command do?"):
        answer = client.chat.completions.create(
            model="support-bot", messages=[{"role": "user", "content": question}], user="demo-admin"
        )
        print(f"  Q: {question}\n  A: {answer.choices[0].message.content}\n")


def release_split_roll_back(client: OpenAI) -> None:
    say("A second version: fewer passages per answer. rondo release freezes it, one hash for all of it")
    settings = (DEMO / "rondo.toml").read_text()
    (DEMO / "rondo.toml").write_text(settings.replace("top_k = 5", "top_k = 3"))
    print(run("release", "-m", "fewer passages"))
    newest = newest_release()
    show_evidence(newest)
    say(f"Half of the users get it: rondo split support-bot {newest}=50%")
    print(run("split", "support-bot", f"{newest}=50%", "--exception", "Half of the users, for the demo."))
    print_arms(client)
    say("Back to the stable release, at once: rondo rollback")
    print(run("rollback", "support-bot", "--reason", "demo"))
    print_arms(client)


def roll_out_what_fails(client: OpenAI) -> None:
    say("A third version, whose model does not answer: rondo rollout start takes it back by itself")
    settings = (DEMO / "rondo.toml").read_text()
    unreachable = '[models.away]\nprovider = "openai"\nmodel = "away"\nbase_url = "http://127.0.0.1:9/v1"\n'
    (DEMO / "rondo.toml").write_text(settings.replace('route = ["baseline"]', 'route = ["away"]') + f"\n{unreachable}")
    print(run("release", "-m", "a model that does not answer", "--no-rollout"))
    newest = newest_release()
    steps = ("--step", "50% 30m", "--step", "100%")
    print(run("rollout", "start", "support-bot", newest, *steps, "--exception", "To be seen failing, for the demo."))
    for _ in range(30):
        print_arms(client)
        if json.loads(run("rollout", "status", "support-bot", "--json", allowed=(0, 1)))["status"] != "running":
            break
        time.sleep(0.5)
    print(run("rollout", "status", "support-bot", allowed=(0, 1)))
    print_arms(client)
    (DEMO / "rondo.toml").write_text(settings)


def newest_release() -> str:
    return str(json.loads(run("releases", "list", "support-bot", "--json"))["releases"][0]["number"])


def show_evidence(number: str) -> None:
    """What the gate asks for: the suite on the release, against production."""
    say(f"Evidence before any traffic: rondo eval, and rondo gate {number}")
    run("eval", "answers", "--target", number, "--no-fail")
    print(run("gate", number, allowed=(0, 1, 3)))  # where it is shut, the demo goes on by an exception


def print_arms(client: OpenAI) -> None:
    """Which release 40 users get, and how many get an error."""
    counts: Counter[str] = Counter()
    for number in range(40):
        try:
            raw = client.chat.completions.with_raw_response.create(
                model="support-bot", messages=[{"role": "user", "content": QUESTIONS[0]}], user=f"user-{number}"
            )
        except APIStatusError:
            counts["an error"] += 1
        else:
            counts[raw.headers["x-rondo-release"]] += 1
    print("  40 users got " + ", ".join(f"{release}: {count}" for release, count in sorted(counts.items())))


def how_to_use_a_model() -> None:
    """Only where one is at hand."""
    file = relative(DEMO / "rondo.toml")
    if os.environ.get("OPENAI_API_KEY"):
        print(f'\nOPENAI_API_KEY is set: write route = ["main", "baseline"] in {file}, then `rondo release`.')
    with socket.socket() as probe:
        probe.settimeout(0.3)
        if probe.connect_ex(("127.0.0.1", 11434)) == 0:
            print(f'\nOllama answers here: write route = ["private", "baseline"] in {file}, then `rondo release`.')


@contextmanager
def server() -> Iterator[str]:
    """`rondo up` on a free port (4000 where it is free); its address."""
    command = [*RONDO, "up", "--port", str(free_port())]
    process = subprocess.Popen(command, cwd=DEMO, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        if len(line) != 2 or line[0] != "ready":
            raise SystemExit("The server did not start; its log is above.")
        print(f"  ready at {line[1]}")
        yield line[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def free_port() -> int:
    for port in (4000, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            number: int = probe.getsockname()[1]
            return number
    raise SystemExit("no free port")


def run(*arguments: str, cwd: Path = DEMO, allowed: tuple[int, ...] = (0,)) -> str:
    """A command of rondo's; what it printed, indented."""
    done = subprocess.run([*RONDO, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise SystemExit(f"rondo {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return "\n".join(f"  {line}".rstrip() for line in done.stdout.splitlines())


def post(url: str, key: str, body: dict[str, Any]) -> Any:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def wait_for_interrupt() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def relative(path: Path) -> Path:
    return path.relative_to(ROOT)


def say(text: str) -> None:
    print(f"\n▸ {text}", flush=True)


if __name__ == "__main__":
    main()

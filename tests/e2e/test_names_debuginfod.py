# SPDX-License-Identifier: BSD-2-Clause
"""Names from a debuginfod server, here one of the test's own on the loopback interface."""

import ctypes
import http.server
import os
import re
import threading
import time

import pytest

from naming import USUAL, build_id, command, marks, names_of, symbolize


class Server:
    """Serves one file as the debug file of one build-id, @delay seconds after it was asked."""

    def __init__(self, path, identity, delay):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time.sleep(delay)
                if self.path != f"/buildid/{identity}/debuginfo":
                    self.send_error(404)
                    return
                with open(path, "rb") as file:
                    content = file.read()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def environment(self, tool):
        return dict(os.environ, XDG_CACHE_HOME=tool.cache,
                    DEBUGINFOD_URLS=f"http://127.0.0.1:{self.http.server_port}/",
                    DEBUGINFOD_CACHE_PATH=os.path.join(tool.folder, "debuginfod"))


@pytest.fixture
def serve(tool, build):
    """serve(delay): a stripped program, where its marks are, and the environment for names."""
    try:
        ctypes.CDLL("libdebuginfod.so.1")
    except OSError:
        pytest.skip("no libdebuginfod.so.1 here")
    servers = []

    def start_server(delay):
        original = build("chain.c", *USUAL)
        stripped, debug = (os.path.join(tool.folder, name) for name in ("stripped", "its.debug"))
        command("strip", "-o", stripped, original)
        command("objcopy", "--only-keep-debug", original, debug)
        servers.append(Server(debug, build_id(original), delay))
        return stripped, marks(original), servers[-1].environment(tool)

    yield start_server
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def test_symbolize_waits_for_the_file(tool, serve):
    stripped, where, env = serve(0.5)
    answer, = symbolize(tool, "-e", stripped, addresses=where["entry"], env=env)
    assert names_of(answer) == ["outermost"], answer
    begun = time.monotonic()
    tool.run("symbolize", "-e", "/bin/sh", "1234", env=dict(env, DEBUGINFOD_URLS=""))
    assert time.monotonic() - begun < 0.5


def test_a_file_that_comes_late_names_the_whole_window(tool, serve):
    stripped, _, env = serve(1.5)
    done = tool.run("record", "-F", "199", "-o", "x.folded", "--", stripped, "3", env=env)
    named = re.search(r"stripped .*?([\d.]+) % named: debuginfod", done.stderr)
    assert named and float(named.group(1)) > 99, done.stderr


def test_a_server_that_is_slow_delays_no_window(tool, serve):
    stripped, _, env = serve(60)
    begun = time.monotonic()
    done = tool.run("record", "-d", "1", "-o", "x.folded", "--", stripped, "2", env=env)
    assert time.monotonic() - begun < 15, done.stderr
    named = re.search(r"stripped .*?([\d.]+) % named: dynsym", done.stderr)
    assert named and float(named.group(1)) < 50, done.stderr  # _start: the ELF header tells

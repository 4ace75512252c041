# SPDX-License-Identifier: BSD-2-Clause
"""What the benchmarks share: run a tool and read from outside what it costs.

BPF time and the bytes of maps come from /proc/PID/fdinfo of the tool, where the kernel shows them
for every program and map that a process holds: the same numbers as `bpftool prog show`.
"""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EBPFPROF = os.path.join(ROOT, "build", "ebpfprof")
CPUS = sorted(os.sched_getaffinity(0))
STATS_SYSCTL = "/proc/sys/kernel/bpf_stats_enabled"
PER_CPU_MAPS = {5, 6, 10, 21}  # enum bpf_map_type: *PERCPU*
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Something that the benchmark needs did not run: one line says what."""


def built(*path):
    path = os.path.join(ROOT, "build", *path)
    if not os.path.exists(path):
        raise Failed(f"{path} is missing; run: make all workloads bench-programs")
    return path


def find_tool(name):
    """Path of a peer, or None."""
    found = subprocess.run([os.path.join(ROOT, "scripts", "find-tool"), name],
                           stdout=subprocess.PIPE, text=True, check=False)
    return found.stdout.strip() or None


def need_root():
    if os.geteuid() != 0:
        raise Failed(f"benchmarks need root; run: sudo {sys.argv[0]}")


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


# ---- what the kernel says -----------------------------------------------------------------------

@contextlib.contextmanager
def bpf_stats():
    """The kernel measures the run time of BPF programs; afterwards as before."""
    with open(STATS_SYSCTL, encoding="ascii") as sysctl:
        before = sysctl.read()
    with open(STATS_SYSCTL, "w", encoding="ascii") as sysctl:
        sysctl.write("1")
    try:
        yield
    finally:
        with open(STATS_SYSCTL, "w", encoding="ascii") as sysctl:
            sysctl.write(before)


def fdinfo(pid):
    """Every descriptor of a process as {field: text}; nothing when it has gone."""
    infos = []
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError), \
                    open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
                infos.append(dict(re.findall(r"^([a-z_]+):\s*(\S+)", file.read(), re.M)))
    return infos


def perf_programs(pid):
    """{id: (runs, ns)} of the programs of type perf_event that a process holds."""
    return {info["prog_id"]: (int(info["run_cnt"]), int(info["run_time_ns"]))
            for info in fdinfo(pid) if info.get("prog_type") == "7" and "run_cnt" in info}


def map_names():
    """{map id: name} of the host's BPF maps."""
    listed = subprocess.run([find_tool("bpftool"), "-j", "map", "list"], check=True,
                            stdout=subprocess.PIPE)
    return {str(one["id"]): one.get("name", "") for one in json.loads(listed.stdout)}


def map_bytes(pid, cpus=None):
    """Bytes of a process's BPF maps; with @cpus as if the machine had that many.

    Without our unwind tables, which have a budget of their own (--unwind-memory).
    """
    maps = {info["map_id"]: info for info in fdinfo(pid) if "map_id" in info}
    names = map_names()
    total = 0
    for number, info in maps.items():
        name = names.get(number, "")
        if name.startswith("unwind_"):
            continue
        total += int(info["memlock"])
        value = (int(info["value_size"]) + 7) // 8 * 8
        if cpus and name == "raw_rooms":  # an array with one value for each CPU
            total += value * (cpus - possible_cpus())
        elif cpus and int(info["map_type"]) in PER_CPU_MAPS:
            total += value * int(info["max_entries"]) * (cpus - possible_cpus())
    return total if maps else None


def possible_cpus():
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        ranges = [part.split("-") for part in file.read().strip().split(",")]
    return sum(int(part[-1]) - int(part[0]) + 1 for part in ranges)


def busy_sec():
    """Seconds that all CPUs were not idle, since boot."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / CLOCK_TICKS


def used_sec(pid):
    """CPU seconds of a process that runs, to the nanosecond where the kernel says so."""
    used_ns = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/schedstat",
                                                encoding="ascii") as file:
            used_ns += int(file.read().split()[0])
    return used_ns / 1e9


def peak_rss(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="utf-8",
                                            errors="replace") as file:
        match = re.search(r"^VmHWM:\s*(\d+) kB", file.read(), re.M)
        return int(match.group(1)) * 1024 if match else 0
    return 0


# ---- running things -----------------------------------------------------------------------------

class Load:
    """
    One program per CPU, pinned, never idle, while `with load.on():`; `recurse` of 30 frames where
    no other is named.  It is a group of its own, and is ended with all that it started.
    """

    SECONDS = 60  # workloads end by themselves, no later

    def __init__(self, command=None):
        self.command = command or [built("workloads", "recurse"), str(self.SECONDS), "30"]
        self.used_sec = 0.0
        self.busy_at_start, self.start = busy_sec(), time.monotonic()
        self.spinners = []

    @contextlib.contextmanager
    def on(self):
        spinners = self.spinners = []
        try:
            for cpu in CPUS:
                spinners.append(subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # a group of its own to the scheduler, too
                    preexec_fn=lambda cpu=cpu: os.sched_setaffinity(0, {cpu})))
            time.sleep(0.1)
            yield
            if any(spinner.poll() is not None for spinner in spinners):
                raise Failed("the workload ended too early")
        finally:
            for spinner in spinners:
                if spinner.returncode is not None:
                    continue  # poll() above has taken it, and its times
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(spinner.pid, signal.SIGTERM)
                usage = os.wait4(spinner.pid, 0)[2]
                spinner.returncode = 0
                self.used_sec += usage.ru_utime + usage.ru_stime

    @contextlib.contextmanager
    def first(self):
        """Nearly all samples are of the load: other programs get what it leaves, 1 %."""
        for nice in (-20, 0):
            for spinner in self.spinners:
                os.setpriority(os.PRIO_PROCESS, spinner.pid, nice)
                with contextlib.suppress(OSError), \
                        open(f"/proc/{spinner.pid}/autogroup", "w", encoding="ascii") as group:
                    group.write(str(nice))
            if nice < 0:
                yield

    def others_percent(self):
        """How much of the machine all other programs used, from the first load on."""
        busy = busy_sec() - self.busy_at_start - self.used_sec
        return 100 * max(busy, 0) / (time.monotonic() - self.start) / len(CPUS)


class Run:
    """One run of a tool, ended by itself or by finish(); none outlives main()."""

    running = []

    def __init__(self, command, folder, ends_by=None):
        self.command = command
        self.ends_by = ends_by  # signal, or None: it ends by itself
        self.stdout = tempfile.TemporaryFile(dir=folder)
        self.stderr = tempfile.TemporaryFile(dir=folder)
        self.rss_bytes = 0
        self.start = time.monotonic()
        # The kernel counts a parent's memory into what its child has used before exec.
        self.rss_floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL,
                                        stdout=self.stdout, stderr=self.stderr)
        self.pid = self.process.pid
        Run.running.append(self)
        self.cpu_sec = None

    def watch_memory(self):
        self.rss_bytes = max(self.rss_bytes, peak_rss(self.pid))

    def sleep(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.25))
            self.watch_memory()

    def wait_for_programs(self, runs_too=True, patience=20.0):
        """Until the tool's BPF program is loaded and, where that is measured, has run."""
        end = time.monotonic() + patience
        while time.monotonic() < end and self.process.poll() is None:
            programs = perf_programs(self.pid)
            if any(runs or not runs_too for runs, _ in programs.values()):
                return
            time.sleep(0.05)
        raise Failed(f"{self.name()} ran no BPF program{self.last_words()}")

    def finish(self, patience=60.0):
        """Wait for its end; CPU time and memory are known after it."""
        if self.ends_by is not None:
            self.process.send_signal(self.ends_by)
        end = time.monotonic() + patience
        while True:
            self.watch_memory()
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                self.process.kill()
                raise Failed(f"{self.name()} did not end{self.last_words()}")
            time.sleep(0.02)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        Run.running.remove(self)
        self.cpu_sec = usage.ru_utime + usage.ru_stime
        if usage.ru_maxrss * 1024 > self.rss_floor:
            self.rss_bytes = max(self.rss_bytes, usage.ru_maxrss * 1024)
        if self.process.returncode not in (0, -int(self.ends_by or 0)):
            raise Failed(f"{self.name()} ended with {self.process.returncode}{self.last_words()}")
        return self

    def text(self, stream):
        stream.seek(0)
        return stream.read().decode("utf-8", "replace")

    def name(self):
        return os.path.basename(self.command[0])

    def last_words(self):
        lines = self.text(self.stderr).strip().splitlines()
        return ": " + lines[-1] if lines else ""


def end_group(process):
    """A process that leads a session, and what it started there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def terminate_on_signals():
    """SIGTERM ends us as ^C does, so that what we changed is put back."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


# ---- what people see ----------------------------------------------------------------------------

def print_table(rows):
    """Rows of text; the first is the header, the first column is left-aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def show(value, form="{:.2f}"):
    return "-" if value is None else form.format(value)


def target(name, value, limit, unit="", at_most=True):
    """One target as a dictionary; reached is None where it could not be measured."""
    reached = None if value is None else bool(value <= limit if at_most else value >= limit)
    return {"target": name, "value": value, "limit": limit, "at_most": at_most, "unit": unit,
            "reached": reached}


def print_targets(targets):
    words = {True: "reached", False: "NOT REACHED", None: "not measured"}
    rows = [["target", "measured", "limit", ""]]
    for one in targets:
        sign = "<=" if one["at_most"] else ">="
        rows.append([one["target"], show(one["value"], "{:.4g}") + one["unit"],
                     f"{sign} {one['limit']:g}{one['unit']}", words[one["reached"]]])
    print_table(rows)


def save_json(path, result):
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    print(f"wrote {path}")


def machine():
    return {"kernel": os.uname().release, "machine": os.uname().machine, "cpus": len(CPUS),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def main(body, as_root=True):
    """Run body(folder) in a temporary folder; the exit status."""
    terminate_on_signals()
    folder = tempfile.mkdtemp(prefix="ebpfprof-bench-")
    try:
        if as_root:
            need_root()
        body(folder)
        return 0
    except Failed as failed:
        print(f"{os.path.basename(sys.argv[0])}: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for run in Run.running:
            run.process.kill()
            run.process.wait()
        shutil.rmtree(folder, ignore_errors=True)

# SPDX-License-Identifier: BSD-2-Clause
"""What a running profiler still holds, what its command inherits, and that nothing is missing."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from conftest import EBPFPROF, ROOT, Stacks, Tool, need, unshare, wait_until, workload
from test_names_debuginfod import serve  # noqa: F401 (a fixture)

CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "DAC_READ_SEARCH": 2, "FOWNER": 3, "KILL": 5,
                "IPC_LOCK": 14, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYSLOG": 34, "PERFMON": 38,
                "BPF": 39, "CHECKPOINT_RESTORE": 40}
OF_FILE = ("BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "CHECKPOINT_RESTORE")
FOR_LIFE = (*OF_FILE, "IPC_LOCK")
SETS = ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")
NOBODY = 65534
STRICT = os.path.join(ROOT, "build", "strict", "ebpfprof")
SPIN_JS = os.path.join(ROOT, "tests", "workloads", "spin.js")
SPIN_JAVA = os.path.join(ROOT, "tests", "workloads", "names", "SpinJava.java")


def mask(*names):
    return sum(1 << CAPABILITIES[name] for name in names)


def read_status(path):
    with open(path) as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def held(status):
    return {name: int(status[name], 16) for name in SETS}


def threads(pid):
    """The status of each thread, its main one first."""
    return [read_status(f"/proc/{pid}/task/{tid}/status")
            for tid in sorted(os.listdir(f"/proc/{pid}/task"), key=int)]


RECURSE = {"main", "descend", "spin_at_bottom"}
SPLIT = {"main", "work_sixty", "work_thirty", "work_ten"}


def share_named(stacks, process, functions):
    """Samples with one of its functions; walked to their end or, on a busy machine, not."""
    named = sum(n for s, n in stacks.counts.items() if s[0] == process and functions & set(s))
    return named / stacks.total(process)


OWN = held(read_status("/proc/self/status"))


def wait_for_sandbox(pid):
    """Threads of a profiler that samples already."""
    wait_until(lambda: read_status(f"/proc/{pid}/status")["Seccomp"] == "2", 30)
    wait_until(lambda: len(os.listdir(f"/proc/{pid}/task")) > 1, 30)  # one makes tables
    return threads(pid)


def assert_restricted(pid, *more):
    expected = mask(*FOR_LIFE, *more) & OWN["CapEff"]
    for status in wait_for_sandbox(pid):
        assert held(status) == {"CapPrm": expected, "CapEff": expected, "CapBnd": expected,
                                "CapInh": 0, "CapAmb": 0}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.fixture
def recorder(tool, start):
    """Starts `record` in the test's folder; its messages are in err.txt there."""
    def run(*args, output="out.pb.gz", env=(), program=EBPFPROF):
        with open(os.path.join(tool.folder, "err.txt"), "wb") as err:
            return start(program, "record", "-o", output, *args, cwd=tool.folder, stderr=err,
                         env={**os.environ, "XDG_CACHE_HOME": tool.cache, **dict(env)})
    return run


def end(tool, process):
    process.send_signal(signal.SIGINT)
    code = process.wait(timeout=60)
    with open(os.path.join(tool.folder, "err.txt")) as text:
        return code, text.read()


@pytest.fixture
def theirs():
    """A folder that is another user's, below one that everybody reaches."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        os.chown(folder, NOBODY, NOBODY)
        yield folder


def test_each_thread_holds_only_what_it_needs(tool, recorder):
    process = recorder("-a")
    assert_restricted(process.pid)
    assert end(tool, process)[0] == 0


def test_folded_too(start):
    process = start(EBPFPROF, "folded", "-d", "60", stderr=subprocess.DEVNULL)
    assert_restricted(process.pid)


def test_without_the_sandbox_nothing_is_given_up(tool, recorder):
    process = recorder("-a", "--no-sandbox")
    time.sleep(2)
    for status in threads(process.pid):
        assert held(status) == OWN
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("0", "0")
    assert end(tool, process)[0] == 0


def test_the_command_inherits_none_of_it(tool):
    copy = os.path.join(tool.folder, "status")
    tool.run("record", "-o", "x.pb.gz", "--", "cp", "/proc/self/status", copy)
    status, own = read_status(copy), read_status("/proc/self/status")
    assert held(status) == OWN
    for name in ("NoNewPrivs", "Seccomp", "Seccomp_filters"):
        assert status.get(name) == own.get(name)


def test_a_command_that_became_another_user_is_ended(tool, recorder):
    process = recorder("--", need("setpriv"), f"--reuid={NOBODY}", "--clear-groups",
                       "--bounding-set=-all", "sleep", "60")
    assert_restricted(process.pid, "KILL")
    child, = wait_until(lambda: [int(pid) for pid in open(
        f"/proc/{process.pid}/task/{process.pid}/children").read().split()
        if read_status(f"/proc/{pid}/status")["Name"] == "sleep"], 30)
    assert read_status(f"/proc/{child}/status")["Uid"].split()[0] == str(NOBODY)
    process.terminate()
    assert process.wait(timeout=60) in (0, 143)
    wait_until(lambda: not os.path.exists(f"/proc/{child}"))


# ---- files of others ----


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o1777])
def test_behind_sudo_the_file_is_the_users(tool, recorder, theirs, mode):
    os.chmod(theirs, mode)
    output = os.path.join(theirs, "out.pb.gz")
    process = recorder("-a", output=output, env={"SUDO_UID": str(NOBODY),
                                                 "SUDO_GID": str(NOBODY)})
    assert_restricted(process.pid, "CHOWN", "FOWNER" if mode == 0o1777 else "DAC_OVERRIDE")
    code, text = end(tool, process)
    assert code == 0, text
    assert os.stat(output).st_uid == NOBODY
    assert os.listdir(theirs) == ["out.pb.gz"]


def test_a_file_each_second_into_anothers_folder(tool, theirs):
    tool.run("record", "--every", "1", "-d", "3", "-o", os.path.join(theirs, "x-%T.pb.gz"))
    assert len(os.listdir(theirs)) >= 3


def test_a_link_leads_to_anothers_folder(tool, recorder, theirs):
    target = os.path.join(theirs, "there.pb.gz")
    os.symlink(target, os.path.join(tool.folder, "out.pb.gz"))
    process = recorder("-a")
    assert_restricted(process.pid, "DAC_OVERRIDE")
    assert end(tool, process)[0] == 0
    assert os.path.getsize(target) > 0


# ---- what cannot be given up, what stands in ----


def test_a_kernel_without_seccomp_is_said(tool):
    done = subprocess.run([workload("noseccomp"), EBPFPROF, "record", "-q", "-d", "1", "-o",
                           "x.pb.gz"], cwd=tool.folder, stderr=subprocess.PIPE, text=True)
    if done.returncode == 77:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 2, done.stderr
    assert "no_new_privs" in lines[0] and "seccomp" in lines[1], done.stderr
    assert os.path.getsize(os.path.join(tool.folder, "x.pb.gz")) > 0


def test_sys_admin_stands_in_where_it_is_all_there_is(tool, start):
    """Old containers: CAP_SYS_ADMIN, and none that were split off from it."""
    process = start(need("setpriv"), "--bounding-set=-bpf,-perfmon,-checkpoint_restore", EBPFPROF,
                    "record", "-o", "x.pb.gz", cwd=tool.folder, stderr=subprocess.DEVNULL)
    expected = mask("SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "IPC_LOCK") & OWN["CapEff"]
    for status in wait_for_sandbox(process.pid):
        assert held(status)["CapEff"] == held(status)["CapBnd"] == expected
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


# ---- an ordinary user, with capabilities of the file ----


SETCAP = ("BPF", "PERFMON", "SYS_PTRACE", "SYSLOG", "DAC_READ_SEARCH", "CHECKPOINT_RESTORE")
POORER = {"SYS_PTRACE": "no CAP_SYS_PTRACE: ", "DAC_READ_SEARCH": "no CAP_DAC_READ_SEARCH: ",
          "CHECKPOINT_RESTORE": "no CAP_CHECKPOINT_RESTORE: ",
          "SYSLOG": "kernel functions have no names"}


@pytest.fixture
def ordinary(theirs):
    """ordinary(capabilities, program): the start of a command line as an ordinary user."""
    def run(names, program=EBPFPROF):
        path = os.path.join(theirs, "ebpfprof")
        shutil.copy(program, path)
        os.chmod(path, 0o755)
        text = ",".join("cap_" + name.lower() for name in names)
        done = subprocess.run([need("setcap"), text + "=ep", path], stderr=subprocess.PIPE,
                              text=True)
        if done.returncode:
            pytest.skip(f"no capabilities of files here: {done.stderr.strip()}")
        return [need("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                "--inh-caps=-all", "env", "-u", "XDG_CACHE_HOME", f"HOME={theirs}", path]
    return run


def test_an_ordinary_user_is_in_it_too(theirs, ordinary, start):
    process = start(*ordinary(SETCAP), "record", "-a", "-o", "x.pb.gz", cwd=theirs,
                    stderr=subprocess.DEVNULL)
    for status in wait_for_sandbox(process.pid):
        found = held(status)
        assert found["CapPrm"] == found["CapEff"] == mask(*OF_FILE)
        assert found["CapInh"] == found["CapAmb"] == 0
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert os.stat(os.path.join(theirs, "x.pb.gz")).st_uid == NOBODY


def test_who_may_not_use_bpf_is_in_it_too(theirs, ordinary, start):
    process = start(*ordinary(["DAC_READ_SEARCH", "NET_ADMIN"]), "record", "-o", "x.pb.gz",
                    cwd=theirs, stderr=subprocess.DEVNULL)
    wait_until(lambda: read_status(f"/proc/{process.pid}/status")["Seccomp"] == "2", 30)
    for status in threads(process.pid):
        assert held(status)["CapPrm"] == held(status)["CapEff"] == mask("DAC_READ_SEARCH")
        assert status["NoNewPrivs"] == "1"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("missing", [None, *SETCAP])
def test_each_capability_that_is_missing_costs_only_its_part(theirs, ordinary, start, missing):
    program = STRICT if os.path.exists(STRICT) else EBPFPROF
    line = ordinary([name for name in SETCAP if name != missing], program)
    start(shutil.copy(workload("recurse"), theirs), "20", user=NOBODY)
    start(workload("split"), "20")
    done = subprocess.run([*line, "record", "-a", "-d", "2", "-o", "x.folded"], cwd=theirs,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    if missing in ("BPF", "PERFMON"):
        # By perf's own ring, one's own programs only.
        assert done.returncode == 0, done.stderr
        assert f"CAP_{missing} missing" in done.stderr and "without BPF" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    for name, words in POORER.items():
        hides = name != "SYSLOG" or open("/proc/sys/kernel/kptr_restrict").read().strip() != "2"
        assert (words in done.stderr) == (name == missing and hides) or not hides, done.stderr
    with open(os.path.join(theirs, "x.folded")) as text:
        stacks = Stacks(text.read())
    # One's own programs have their names whatever is missing; others' where they can be read.
    assert share_named(stacks, "recurse", RECURSE) > 0.9, stacks
    if missing not in ("SYS_PTRACE", "DAC_READ_SEARCH"):
        assert share_named(stacks, "split", SPLIT) > 0.9, stacks
    else:
        assert stacks.total("split") > 0, stacks


# ---- nothing that is needed is refused ----


@pytest.fixture
def strict(tool):
    """The program that is killed by the first call that its sandbox refuses."""
    if not os.path.exists(STRICT):
        pytest.skip("build/strict/ebpfprof was not built")
    return Tool(tool.folder, STRICT)


@pytest.fixture
def stray(tool):
    """An environment with a library for LD_PRELOAD whose fsync() asks for a socket first."""
    source = os.path.join(tool.folder, "stray.c")
    with open(source, "w") as text:
        text.write("#define _GNU_SOURCE\n#include <sys/socket.h>\n#include <sys/syscall.h>\n"
                   "#include <unistd.h>\nint fsync(int fd) { socket(AF_INET, SOCK_STREAM, 0); "
                   "return (int)syscall(SYS_fsync, fd); }\n")
    library = os.path.join(tool.folder, "stray.so")
    subprocess.run([need("gcc"), "-shared", "-fPIC", "-o", library, source], check=True)
    return dict(os.environ, LD_PRELOAD=library, XDG_CACHE_HOME=tool.cache)


def test_the_strict_program_is_killed_for_a_refused_call(strict, stray):
    done = strict.run("record", "-q", "-d", "0.3", "-o", "x.pb.gz", env=stray, check=False)
    assert done.returncode == -signal.SIGSYS


def test_a_refused_call_ends_nothing(tool, stray):
    if "asan" in EBPFPROF or "strict" in EBPFPROF:
        pytest.skip("of the program as people have it")
    tool.run("record", "-q", "-d", "0.3", "-o", "x.pb.gz", env=stray)
    assert os.path.getsize(os.path.join(tool.folder, "x.pb.gz")) > 0


def test_nothing_is_refused_while_programs_start_and_end(strict):
    script = "for i in 1 2 3; do ls /usr/lib > /dev/null; sh -c true; python3 -c 'sum(range(9**6))'; done"
    stacks = strict.record("-a", "-F", "499", "--", "sh", "-c", script)
    assert stacks.total() > 0
    strict.run("record", "--every", "1", "-d", "2.5", "-a", "--flush", "1", "-o", "y-%T.pb.gz")
    assert len(glob.glob(os.path.join(strict.folder, "y-*.pb.gz"))) >= 2


@pytest.mark.parametrize("name", ["rustwork", "unwind/goburn", "unwind/throw", "jit", "cxx",
                                  "dlopen_main", "unwind/shortlived"])
def test_nothing_is_refused_for(strict, name):
    """Twice: tables are made and written to the cache, then read from it."""
    for _ in range(2):
        stacks = strict.record("-F", "199", "--", workload(name), "2")
        assert stacks.total() > 20, stacks


def test_nothing_is_refused_for_node(strict):
    stacks = strict.record("-F", "199", "--", need("node"), "--perf-basic-prof", SPIN_JS, "2")
    assert any("spinJs" in frame for stack in stacks.counts for frame in stack), stacks


@pytest.mark.parametrize("user", [0, NOBODY])
def test_nothing_is_refused_when_jvms_are_asked(strict, recorder, start, theirs, user):
    subprocess.run([need("javac"), "-d", theirs, SPIN_JAVA], check=True, timeout=120)
    java = start(need("java"), "-XX:+PreserveFramePointer", "-cp", theirs, "SpinJava", "60",
                 user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    try:
        process = recorder("-p", java.pid, "-F", "199", "--jvm-perfmap", program=STRICT)
        assert_restricted(process.pid, "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL")
        time.sleep(2)
        code, text = end(strict, process)
        assert code == 0, text
        stacks = strict.folded("out.pb.gz")
        assert stacks.having("SpinJava.spinJava") > 0.5 * stacks.total(), stacks
    finally:
        java.kill()
        for left in glob.glob(f"/tmp/perf-{java.pid}.map") + glob.glob(f"/tmp/.*_pid{java.pid}"):
            os.unlink(left)


def test_nothing_is_refused_when_debuginfod_is_asked(strict, serve):  # noqa: F811
    stripped, _, env = serve(0.5)
    done = strict.run("record", "-F", "199", "-o", "x.folded", "--", stripped, "2", env=env)
    assert "named: debuginfod" in done.stderr, done.stderr


def test_debuginfods_cache_of_another_user_is_filled(strict, recorder, serve, theirs):  # noqa: F811
    stripped, _, env = serve(0.1)
    process = recorder("-F", "199", "--", stripped, "3", program=STRICT,
                       env=dict(env, DEBUGINFOD_CACHE_PATH=os.path.join(theirs, "cache")))
    assert_restricted(process.pid, "KILL", "DAC_OVERRIDE")
    assert process.wait(timeout=60) == 0
    with open(os.path.join(strict.folder, "err.txt")) as text:
        assert "named: debuginfod" in text.read()


def test_nothing_is_refused_with_all_options(strict, start):
    program = start(workload("split"), "20")
    strict.run("record", "--stats", "-a", "--flush", "1", "-d", "2.5", "-F", "999", "-o", "x.pb.gz")
    # The governor sets another rate.
    done = strict.run("record", "-F", "4999", "--flush", "1", "-d", "3.5", "--max-overhead", "0.3",
                      "-p", program.pid, "-o", "x.pb.gz")
    assert "rate lowered" in done.stderr, done.stderr
    strict.run("folded", "-d", "1", "-p", program.pid, "--no-cache", "--lines", "--annotate",
               "--unwind", "table")
    strict.run("record", "-d", "1", "-p", program.pid, "-o", "-", "--no-debug-info")


def test_nothing_is_missing_where_proc_hides_pids(strict, start, theirs):
    """hidepid: others' processes are there for whoever might trace them."""
    namespaces = unshare("--mount")
    start(shutil.copy(workload("recurse"), theirs), "20", user=NOBODY)
    done = subprocess.run([*namespaces, "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && '
                           'exec "$@"', "sh", STRICT, "record", "-a", "-d", "1.5", "-o",
                           "x.folded"], cwd=strict.folder, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    with open(os.path.join(strict.folder, "x.folded")) as text:
        stacks = Stacks(text.read())
    assert share_named(stacks, "recurse", RECURSE) > 0.9, stacks


def test_the_kernel_is_named_without_cap_syslog(strict):
    stacks = strict.record("-F", "499", "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=1",
                           "count=1500000")
    kernel = [stack for stack in stacks.counts if any("entry_SYSCALL_64" in f for f in stack)
              or any("el0t_64_sync" in f for f in stack)]
    assert kernel, stacks

# SPDX-License-Identifier: BSD-2-Clause
"""Wrong use: one line on stderr, nothing half-written, never a crash."""

import gzip
import os
import random
import resource
import subprocess

import pytest

from conftest import EBPFPROF, Stacks, need, workload


def gone_pid():
    done = subprocess.Popen(["true"])
    done.wait()
    return done.pid


def nothing_left(folder, but=()):
    assert sorted(os.listdir(folder)) == sorted(but)


@pytest.mark.parametrize("option", ["-p", "-t"])
def test_no_such_process_or_thread(tool, option):
    tool.fails("record", option, gone_pid(), "-d", "1", says=["no ", "ended or never was"])
    nothing_left(tool.folder)


def test_thread_id_given_as_pid_is_explained(tool, start):
    program = start(workload("threads"), "6")
    tids = []
    while len(tids) < 2:
        tids = [int(t) for t in os.listdir(f"/proc/{program.pid}/task")]
    thread = max(tids)
    tool.fails("record", "-p", thread, "-d", "1", says=["thread of process", str(program.pid)])


def test_no_such_cgroup(tool):
    tool.fails("record", "--cgroup", "/no/such/group", "-d", "1", says="--cgroup")
    tool.fails("record", "--cgroup", "/tmp", "-d", "1", says=["--cgroup", "cgroup v2"])


@pytest.mark.parametrize("args", [
    ["-F", "0"], ["-F", "abc"], ["-F", "10001"], ["-F", "99x"], ["-F", "-5"], ["-F", ""],
    ["-d", "-1"], ["-d", "nan"], ["-d", "inf"], ["-d", "1s"], ["-d", "0"],
    ["-p", "1,"], ["-p", "abc"], ["-p", "-1"], ["-p", "0"], ["-p", "99999999999"],
    ["--nonsense"], ["-Z"], ["-F"], ["-e", "branches"], ["--user", "--kernel"],
    ["--ring-size", "5000"], ["--map-entries", "1"], ["-o", "x.txt"], ["-o", "x.pb.gz.bak"],
    ["--format", "svg"], ["--every", "1"], ["--every", "0.5", "-o", "x%T.pb.gz"], ["--"], ["-c", ""],
])
def test_wrong_options_are_usage_errors(tool, args):
    tool.fails("record", *args, status=2, says="see 'ebpfprof help record'")
    nothing_left(tool.folder)


def test_unknown_command(tool):
    tool.fails("recrod", status=2, says="recrod")


def test_unwritable_outputs(tool):
    os.mkdir(os.path.join(tool.folder, "folder.pb.gz"))
    tool.fails("record", "-d", "1", "-o", "folder.pb.gz", says=["folder.pb.gz", "irectory"])
    tool.fails("record", "-d", "1", "-o", "none/x.pb.gz", says="none")
    tool.fails("record", "-d", "1", "-o", "/proc/x.pb.gz", says="/proc/x.pb.gz")
    nothing_left(tool.folder, ["folder.pb.gz"])


def test_full_disk_leaves_the_old_file(tool):
    disk = os.path.join(tool.folder, "disk")
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", disk]).returncode:
        pytest.skip("cannot mount a tmpfs")
    try:
        path = os.path.join(disk, "x.pb")
        with open(path, "w") as old:
            old.write("old")
        tool.fails("record", "-F", "999", "-d", "1", "-q", "-o", path, "--", workload("split"),
                   "2", says=["x.pb", "No space left"])
        assert os.listdir(disk) == ["x.pb"]
        assert open(path).read() == "old"
    finally:
        subprocess.run(["umount", disk], check=True)


def test_closed_standard_streams_do_no_harm(tool):
    done = subprocess.run(["bash", "-c", f"exec {EBPFPROF} record -o c.folded -- {workload('split')}"
                           " 1 <&- >&- 2>&-"], cwd=tool.folder)
    assert done.returncode == 0
    with open(os.path.join(tool.folder, "c.folded")) as out:
        assert Stacks(out.read()).having("work_sixty") > 0
    done = subprocess.run(["bash", "-c", f"exec {EBPFPROF} folded -q -d 0.2 >&-"], cwd=tool.folder,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "Bad file descriptor" in done.stderr


def test_too_few_files_allowed_is_said(tool):
    tool.fails("record", "-d", "1", says=["Too many open files", "ulimit -n"],
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12)))
    nothing_left(tool.folder)


def test_file_larger_than_allowed_is_one_line(tool):
    done = tool.run("record", "-q", "-F", "999", "-o", "x.folded", "--", workload("recurse"), "1",
                    check=False,
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
    assert done.returncode == 1, done.stderr
    assert "too large" in done.stderr and done.stderr.count("\n") == 1
    nothing_left(tool.folder)


def test_device_and_fifo_are_written_through(tool):
    fifo = os.path.join(tool.folder, "fifo.pb.gz")
    os.mkfifo(fifo)
    reader = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE)
    tool.run("record", "-q", "-o", fifo, "--", workload("split"), "1")
    content = reader.communicate(timeout=20)[0]
    assert gzip.decompress(content)
    nothing_left(tool.folder, ["fifo.pb.gz"])
    done = tool.run("record", "-q", "-o", "/dev/full", "--format", "folded", "--",
                    workload("split"), "1", check=False)
    assert done.returncode == 1 and "No space left" in done.stderr


def test_commands_that_cannot_run(tool):
    tool.fails("record", "--", "no-such-command-anywhere", status=127, says="cannot run")
    plain = os.path.join(tool.folder, "plain.txt")
    with open(plain, "w") as out:
        out.write("text")
    tool.fails("record", "--", plain, status=126, says="cannot run")
    nothing_left(tool.folder, ["plain.txt"])


def test_command_that_ends_at_once(tool):
    done = tool.run("record", "-o", "t.pb.gz", "--", "true")
    assert done.returncode == 0
    assert os.path.exists(os.path.join(tool.folder, "t.pb.gz"))


def test_ordinary_users_are_told_what_is_missing(tool):
    setpriv = need("setpriv")
    os.chmod(tool.folder, 0o777)
    done = subprocess.run([setpriv, "--reuid=65534", "--regid=65534", "--clear-groups",
                           "--inh-caps=-all", EBPFPROF, "record", "--source", "bpf", "-d", "1",
                           "-o", "/tmp/ebpfprof-nobody.pb.gz"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd="/")
    if "Permission denied" in done.stderr and not done.stderr.startswith("ebpfprof"):
        pytest.skip("nobody cannot reach the program here")
    assert done.returncode == 1, done.stderr
    assert "CAP_BPF" in done.stderr and "sudo" in done.stderr and "setcap" in done.stderr


def test_closed_stdout_ends_quietly(tool):
    tool.run("record", "-F", "999", "-o", "x.pb.gz", "--", workload("split"), "1")
    done = subprocess.run(["bash", "-c", f"{EBPFPROF} folded x.pb.gz | head -n 1"],
                          cwd=tool.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0
    assert done.stderr == b""


class TestHostileProfiles:
    @pytest.fixture
    def profile(self, tool):
        tool.run("record", "-q", "-F", "499", "-o", "x.pb.gz", "--", workload("recurse"), "1")
        with open(os.path.join(tool.folder, "x.pb.gz"), "rb") as file:
            return file.read()

    def folded(self, tool, content, name="bad.pb.gz"):
        with open(os.path.join(tool.folder, name), "wb") as out:
            out.write(content)
        return tool.run("folded", name, check=False,
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS,
                                                              (4 << 30, 4 << 30)))

    def test_truncated(self, tool, profile):
        for end in range(0, len(profile), max(1, len(profile) // 40)):
            done = self.folded(tool, profile[:end])
            assert done.returncode == 1, (end, done.stderr)
            assert done.stderr.startswith("ebpfprof: ") and done.stderr.count("\n") == 1
            assert done.stdout == ""

    def test_flipped_bytes(self, tool, profile):
        raw = bytearray(gzip.decompress(profile))
        chance = random.Random(4711)
        for _ in range(60):
            bad = bytearray(raw)
            for _ in range(3):
                bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
            done = self.folded(tool, bytes(bad), "bad.pb")
            assert done.returncode in (0, 1), done.stderr
            if done.returncode == 0:
                Stacks(done.stdout)

    def test_garbage_and_bombs(self, tool):
        assert self.folded(tool, b"").returncode == 1
        assert self.folded(tool, b"not a profile at all\n").returncode == 1
        assert self.folded(tool, os.urandom(10000)).returncode == 1
        bomb = gzip.compress(b"\0" * (600 << 20), 9)
        done = self.folded(tool, bomb)
        assert done.returncode == 1, done.stderr
        messages = gzip.compress(b"\x12\x00" * (60 << 20), 1)
        done = self.folded(tool, messages)
        assert done.returncode in (0, 1) and done.stderr.count("\n") <= 1

    def test_missing_and_directory(self, tool):
        tool.fails("folded", "none.pb.gz", says="none.pb.gz")
        tool.fails("folded", tool.folder, says="directory")

    def test_unknown_value_lists_those_there_are(self, tool, profile):
        tool.fails("folded", "--value", "bytes", "x.pb.gz", says=["bytes", "samples", "cpu"])

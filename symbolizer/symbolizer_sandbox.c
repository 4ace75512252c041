/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls of libdebuginfod are those that elfutils 0.188 to 0.192, libcurl with either TLS
 * library and glibc's resolver make: servers over IPv4 and IPv6, netlink for the addresses that
 * the host has, local sockets for nscd and systemd-resolved.
 */
#include "symbolizer/symbolizer_sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "profiler/base/sandbox.h"
#include "profiler/base/strbuf.h"

const struct sandbox_call debuginfod_calls[] = {
	SANDBOX_INT("socket", 0, AF_INET),
	SANDBOX_INT("socket", 0, AF_INET6),
	SANDBOX_INT("socket", 0, AF_UNIX),
	SANDBOX_INT("socket", 0, AF_NETLINK),
	SANDBOX_INT("socketpair", 0, AF_UNIX), /* libcurl wakes itself up by one */
	SANDBOX_INT("ioctl", 1, FIONBIO),
	SANDBOX_INT("ioctl", 1, FIONREAD), /* the resolver */
	{ .name = "bind" },		   /* netlink's */
	{ .name = "connect" },
	{ .name = "getpeername" },
	{ .name = "getsockname" },
	{ .name = "getsockopt" },
	{ .name = "recvfrom" },
	{ .name = "recvmmsg" },
	{ .name = "recvmsg" },
	{ .name = "sendmmsg" },
	{ .name = "sendmsg" },
	{ .name = "sendto" },
	{ .name = "setsockopt" },
	{ .name = "shutdown" },
	/* libcurl without a resolver of its own, libdebuginfod's walk through its cache */
	{ .name = "alarm" },
	{ .name = "chmod" },
	{ .name = "fchdir" },
	{ .name = "setitimer" },
	{ .name = "utime" },
	{ .name = "utimes" },
	{},
};

const struct sandbox_call jvm_calls[] = {
	SANDBOX_INT("socket", 0, AF_UNIX),
	{ .name = "connect" },
	{ .name = "getsockopt" },
	{ .name = "recvfrom" },
	{ .name = "sendto" },
	{ .name = "pidfd_open" },
	SANDBOX_INT("pidfd_send_signal", 1, SIGQUIT),
	{},
};

bool debuginfod_is_wanted(void)
{
	const char *urls = getenv("DEBUGINFOD_URLS");

	return urls && urls[strspn(urls, " ")];
}

int debuginfod_cache_folder(struct strbuf *ret)
{
	const char *cache = getenv("DEBUGINFOD_CACHE_PATH"), *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (!home)
		home = "/"; /* as the library has it */
	if (cache && *cache) {
		strbuf_add_str(ret, cache);
		return ret->failed ? -ENOMEM : 0;
	}
	strbuf_printf(ret, "%s/.debuginfod_client_cache", home);
	if (!ret->failed && access(ret->text, F_OK) == 0)
		return 0;
	ret->len = 0;
	if (xdg && *xdg)
		strbuf_printf(ret, "%s/debuginfod_client", xdg);
	else
		strbuf_printf(ret, "%s/.cache/debuginfod_client", home);
	return ret->failed ? -ENOMEM : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/follow.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "profiler/base/err.h"
#include "profiler/collect/shared.h"
#include "profiler/collect/targets.h"

#include "follow.skel.h"

struct follow {
	struct follow_bpf *skel;
};

static int load(struct follow *follow, const struct shared_maps *maps,
		const struct targets *targets, struct errmsg *err)
{
	struct follow_bpf *skel = follow->skel = follow_bpf__open();
	int code;

	if (!skel)
		return bpf_load_failed(-errno, "the fork tracer", err);
	code = shared_maps_lend(maps, skel->obj, err);
	if (code)
		return code;
	/* Without it too a target that has ended is forgotten: its number may be another's soon. */
	if (!targets->follow)
		bpf_program__set_autoload(skel->progs.follow_fork, false);
	code = follow_bpf__load(skel);
	if (!code)
		code = follow_bpf__attach(skel);
	return code ? bpf_load_failed(code, "the fork tracer", err) : 0;
}

int follow_new(struct shared_maps *maps, const struct targets *targets, struct follow **ret,
	       struct errmsg *err)
{
	struct follow *follow = calloc(1, sizeof(*follow));
	int code;

	if (!follow)
		return err_set(err, -ENOMEM, "cannot start the fork tracer");
	code = load(follow, maps, targets, err);
	if (code) {
		follow_free(follow);
		return code;
	}
	*ret = follow;
	return 0;
}

void follow_free(struct follow *follow)
{
	if (!follow)
		return;
	follow_bpf__destroy(follow->skel);
	free(follow);
}

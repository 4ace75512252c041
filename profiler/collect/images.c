/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/images.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bpf/pids.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/bpf_log.h"
#include "profiler/collect/shared.h"
#include "profiler/collect/tracer.h"

#include "images_kprobe.skel.h"
#include "images_raw.skel.h"
#include "images_seed.skel.h"
#include "images_tp.skel.h"

struct images {
	struct loaded_tracer *hooks;
	bool has_seeded;
};

/* Reading the iterator runs it; it prints nothing. */
static int run_iterator(const struct bpf_program *program)
{
	_cleanup_close_ int fd = -1;
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	char bytes[16];

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	bpf_link__destroy(link);
	if (fd < 0)
		return -errno;
	return read(fd, bytes, sizeof(bytes)) == 0 ? 0 : -errno;
}

static int seed(struct shared_maps *maps)
{
	struct images_seed_bpf *skel;
	int code;

	bpf_log_begin();
	skel = images_seed_bpf__open();
	if (!skel)
		return -errno;
	code = shared_maps_lend(maps, skel->obj, NULL);
	if (!code)
		code = images_seed_bpf__load(skel);
	if (!code)
		code = run_iterator(skel->progs.images_seed);
	images_seed_bpf__destroy(skel);
	return code;
}

int images_new(struct shared_maps *maps, struct images **ret, struct errmsg *err)
{
	static const struct tracer tracer = {
		.name = "images",
		.what = "the image tracer",
		.loss = "new processes are learnt some ticks late, by stacks that travel whole",
		.bytes = { [TIER_TP_BTF] = images_tp_bpf__elf_bytes,
			   [TIER_RAW_TP] = images_raw_bpf__elf_bytes,
			   [TIER_KPROBE] = images_kprobe_bpf__elf_bytes },
	};
	struct tracer_outcome seeded = { .name = "images_seed",
					 .loss = "processes that ran before are learnt by their "
						 "stacks, which travel whole",
					 .tier = TIER_ITER };
	struct images *images = calloc(1, sizeof(*images));
	int code;

	if (!images)
		return err_set(err, -ENOMEM, "cannot start the image tracer");
	code = tracer_load(&tracer, maps, &images->hooks, err);
	if (code) {
		images_free(images);
		return code;
	}
	/* Hooks without the iterator are better than none. */
	code = seed(maps);
	images->has_seeded = code == 0;
	if (code) {
		seeded.tier = TIER_NONE;
		bpf_log_reason(code, seeded.why, sizeof(seeded.why));
	}
	shared_maps_note(maps, &seeded);
	*ret = images;
	return 0;
}

void images_free(struct images *images)
{
	if (!images)
		return;
	tracer_free(images->hooks);
	free(images);
}

bool images_has_seeded(const struct images *images)
{
	return images->has_seeded;
}

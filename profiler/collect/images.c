/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/images.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/shared.h"

#include "images.skel.h"

struct images {
	struct images_bpf *skel;
	bool has_seeded;
};

/* Hooks without the iterator are better than none. */
static int load_once(struct images *images, const struct shared_maps *maps, bool with_seed,
		     struct errmsg *err)
{
	int code;

	images->skel = images_bpf__open();
	if (!images->skel)
		return bpf_load_failed(-errno, "the image tracer", err);
	code = shared_maps_lend(maps, images->skel->obj, err);
	if (code)
		return code;
	bpf_program__set_autoload(images->skel->progs.images_seed, with_seed);
	bpf_program__set_autoattach(images->skel->progs.images_seed, false);
	code = images_bpf__load(images->skel);
	if (!code)
		code = images_bpf__attach(images->skel);
	if (!code)
		return 0;
	images_bpf__destroy(TAKE_PTR(images->skel));
	return bpf_load_failed(code, "the image tracer", err);
}

/* Reading the iterator runs it; it prints nothing. */
static bool seed(struct images *images)
{
	_cleanup_close_ int fd = -1;
	struct bpf_link *link;
	char bytes[16];

	link = bpf_program__attach_iter(images->skel->progs.images_seed, NULL);
	if (!link)
		return false;
	fd = bpf_iter_create(bpf_link__fd(link));
	bpf_link__destroy(link);
	return fd >= 0 && read(fd, bytes, sizeof(bytes)) == 0;
}

int images_new(struct shared_maps *maps, struct images **ret, struct errmsg *err)
{
	struct images *images = calloc(1, sizeof(*images));
	int code;

	if (!images)
		return err_set(err, -ENOMEM, "cannot start the image tracer");
	code = load_once(images, maps, true, err);
	if (!code)
		images->has_seeded = seed(images);
	else
		code = load_once(images, maps, false, err);
	if (code) {
		images_free(images);
		return code;
	}
	*ret = images;
	return 0;
}

void images_free(struct images *images)
{
	if (!images)
		return;
	images_bpf__destroy(images->skel);
	free(images);
}

bool images_has_seeded(const struct images *images)
{
	return images->has_seeded;
}

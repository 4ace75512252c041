/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/trial.h"

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/collect/images.h"
#include "profiler/collect/sampler.h"
#include "profiler/collect/targets.h"

int trial_run(struct trial *ret, struct errmsg *err)
{
	/* A command is followed by all that there is. */
	const struct targets targets = { .by_command = true, .follow = true };
	const struct sampler_config config = { .by = SAMPLER_BY_BPF,
					       .freq_hz = 99,
					       .flush_ns = NS_PER_SEC,
					       .with_user = true,
					       .with_kernel = true };
	struct sampler *sampler;
	struct images *images;
	int code = sampler_new(&config, &targets, &sampler, err);

	*ret = (struct trial){};
	if (code)
		return code;
	if (images_new(sampler_shared_maps(sampler), &images, NULL) == 0)
		images_free(images);
	ret->outcome_cnt = sampler_tracers(sampler, ret->outcomes);
	sampler_free(sampler);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/base/capabilities.h"

#include <errno.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"

static void cap_freep(cap_t *set)
{
	if (*set)
		cap_free(*set);
}

static uint64_t mask_of(cap_t set, cap_flag_t which)
{
	cap_flag_value_t flag;
	uint64_t mask = 0;
	cap_value_t value;

	for (value = 0; value < cap_max_bits(); value++)
		if (cap_get_flag(set, value, which, &flag) == 0 && flag == CAP_SET)
			mask |= CAPABILITY(value);
	return mask;
}

static int fill(cap_t set, cap_flag_t which, uint64_t mask)
{
	cap_value_t value;

	if (cap_clear_flag(set, which) < 0)
		return -errno;
	for (value = 0; value < cap_max_bits(); value++)
		if (mask & CAPABILITY(value) && cap_set_flag(set, which, 1, &value, CAP_SET) < 0)
			return -errno;
	return 0;
}

int capabilities_effective(uint64_t *ret)
{
	_cleanup_(cap_freep) cap_t set = cap_get_proc();

	if (!set)
		return -errno;
	*ret = mask_of(set, CAP_EFFECTIVE);
	return 0;
}

int capabilities_set_effective(uint64_t mask)
{
	_cleanup_(cap_freep) cap_t set = cap_get_proc();
	int r;

	if (!set)
		return -errno;
	r = fill(set, CAP_EFFECTIVE, mask & mask_of(set, CAP_PERMITTED));
	return r < 0 ? r : cap_set_proc(set) < 0 ? -errno : 0;
}

/* As long as CAP_SETPCAP is in effect. */
static int shrink_bounding_set(uint64_t keep)
{
	cap_value_t value;

	for (value = 0; value < cap_max_bits(); value++)
		if (!(keep & CAPABILITY(value)) && cap_get_bound(value) == 1 &&
		    cap_drop_bound(value) < 0)
			return -errno;
	return 0;
}

int capabilities_keep(uint64_t keep, struct errmsg *err)
{
	_cleanup_(cap_freep) cap_t set = cap_get_proc();
	uint64_t held;
	int r = 0;

	if (!set)
		return err_set(err, -errno, "cannot read the capabilities");
	held = mask_of(set, CAP_EFFECTIVE);
	if (held & CAPABILITY(CAP_SETPCAP))
		r = shrink_bounding_set(keep);
	if (r == 0 && cap_reset_ambient() < 0)
		r = -errno;
	if (r == 0)
		r = fill(set, CAP_EFFECTIVE, held & keep);
	if (r == 0)
		r = fill(set, CAP_PERMITTED, held & keep);
	if (r == 0)
		r = fill(set, CAP_INHERITABLE, 0);
	if (r == 0 && cap_set_proc(set) < 0)
		r = -errno;
	return r < 0 ? err_set(err, r, "cannot give up capabilities") : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/source_frames.h"

void source_frames_clear(struct source_frames *frames)
{
	frames->cnt = 0;
	strbuf_clear(&frames->text);
	strbuf_add_char(&frames->text, '\0');
}

void source_frames_free(struct source_frames *frames)
{
	frames->cnt = 0;
	strbuf_free(&frames->text);
}

uint32_t source_frames_text(struct source_frames *frames, const char *text, size_t len)
{
	size_t start = frames->text.len;

	if (!len || frames->text.failed || len >= SOURCE_TEXT_MAX - start)
		return 0;
	/* With its NUL, or not at all. */
	if (!strbuf_reserve(&frames->text, len + 1))
		return 0;
	strbuf_add(&frames->text, text, len);
	strbuf_add_char(&frames->text, '\0');
	return (uint32_t)start;
}

void source_frames_add(struct source_frames *frames, const struct source_frame *frame)
{
	if (frames->cnt == SOURCE_FRAMES_MAX)
		frames->cnt--;
	frames->frames[frames->cnt++] = *frame;
}

static const char *text_at(const struct source_frames *frames, uint32_t offset)
{
	return frames->text.text && offset < frames->text.len ? frames->text.text + offset : "";
}

const char *source_frames_name(const struct source_frames *frames, size_t index)
{
	return text_at(frames, frames->frames[index].name);
}

const char *source_frames_filename(const struct source_frames *frames, size_t index)
{
	return text_at(frames, frames->frames[index].filename);
}

/*
 * media.c - extensions, what they promise, and the types that keep the promise.
 *
 * The types of one extension are many (a script has five), so what is compared is what kind of
 * thing a type is.  HTML, JSON, XML and plain text are no kind of their own: they never fit.
 */
#include "breakwater/http/media.h"

#include "breakwater/base/check.h"

enum { EXTENSION_MAX = 5 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* ---- extensions ---- */

struct extension {
    char name[EXTENSION_MAX + 1];
    enum bw_media media;
};

/* In order. */
static const struct extension extensions[] = {
    {"7z", BW_MEDIA_FILE},    {"aac", BW_MEDIA_HEARD},   {"apk", BW_MEDIA_FILE},
    {"avi", BW_MEDIA_SEEN},   {"avif", BW_MEDIA_SEEN},   {"bin", BW_MEDIA_FILE},
    {"bmp", BW_MEDIA_SEEN},   {"bz2", BW_MEDIA_FILE},    {"css", BW_MEDIA_STYLE},
    {"deb", BW_MEDIA_FILE},   {"dmg", BW_MEDIA_FILE},    {"doc", BW_MEDIA_FILE},
    {"docx", BW_MEDIA_FILE},  {"eot", BW_MEDIA_FONT},    {"epub", BW_MEDIA_FILE},
    {"exe", BW_MEDIA_FILE},   {"flac", BW_MEDIA_HEARD},  {"gif", BW_MEDIA_SEEN},
    {"gz", BW_MEDIA_FILE},    {"heic", BW_MEDIA_SEEN},   {"ico", BW_MEDIA_SEEN},
    {"iso", BW_MEDIA_FILE},   {"jar", BW_MEDIA_FILE},    {"jpeg", BW_MEDIA_SEEN},
    {"jpg", BW_MEDIA_SEEN},   {"js", BW_MEDIA_SCRIPT},   {"m4a", BW_MEDIA_HEARD},
    {"m4s", BW_MEDIA_SEEN},   {"m4v", BW_MEDIA_SEEN},    {"mjs", BW_MEDIA_SCRIPT},
    {"mkv", BW_MEDIA_SEEN},   {"mov", BW_MEDIA_SEEN},    {"mp3", BW_MEDIA_HEARD},
    {"mp4", BW_MEDIA_SEEN},   {"mpeg", BW_MEDIA_SEEN},   {"mpg", BW_MEDIA_SEEN},
    {"msi", BW_MEDIA_FILE},   {"oga", BW_MEDIA_HEARD},   {"ogg", BW_MEDIA_HEARD},
    {"ogv", BW_MEDIA_SEEN},   {"opus", BW_MEDIA_HEARD},  {"otf", BW_MEDIA_FONT},
    {"pdf", BW_MEDIA_FILE},   {"png", BW_MEDIA_SEEN},    {"ppt", BW_MEDIA_FILE},
    {"pptx", BW_MEDIA_FILE},  {"rar", BW_MEDIA_FILE},    {"rpm", BW_MEDIA_FILE},
    {"svg", BW_MEDIA_SEEN},   {"svgz", BW_MEDIA_SEEN},   {"tar", BW_MEDIA_FILE},
    {"tgz", BW_MEDIA_FILE},   {"tif", BW_MEDIA_SEEN},    {"tiff", BW_MEDIA_SEEN},
    {"ttf", BW_MEDIA_FONT},   {"wasm", BW_MEDIA_SCRIPT}, {"wav", BW_MEDIA_HEARD},
    {"webm", BW_MEDIA_SEEN},  {"webp", BW_MEDIA_SEEN},   {"woff", BW_MEDIA_FONT},
    {"woff2", BW_MEDIA_FONT}, {"xls", BW_MEDIA_FILE},    {"xlsx", BW_MEDIA_FILE},
    {"xz", BW_MEDIA_FILE},    {"zip", BW_MEDIA_FILE},    {"zst", BW_MEDIA_FILE},
};

static enum bw_media find_extension(const char *name)
{
    size_t from = 0, to = BW_ARRAY_LEN(extensions);

    while (from < to) {
        size_t middle = (from + to) / 2;
        int order = strcmp(name, extensions[middle].name);

        if (order == 0)
            return extensions[middle].media;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return BW_MEDIA_NONE;
}

enum bw_media bw_media_of_path(struct bw_slice path)
{
    char name[EXTENSION_MAX + 1];
    size_t n = 0;

    while (n < path.len && n <= EXTENSION_MAX && path.base[path.len - n - 1] != '.' &&
           path.base[path.len - n - 1] != '/')
        n++;
    if (n == 0 || n > EXTENSION_MAX || n == path.len || path.base[path.len - n - 1] != '.')
        return BW_MEDIA_NONE;
    for (size_t i = 0; i < n; i++)
        name[i] = lower(path.base[path.len - n + i]);
    name[n] = '\0';
    return find_extension(name);
}

/* ---- types ---- */

static bool is_type(struct bw_slice type, const char *name)
{
    return bw_slice_eq_nocase(type, bw_slice_str(name));
}

/* Is it of that family: "image/"? */
static bool is_of(struct bw_slice type, const char *family)
{
    size_t n = strlen(family);

    return type.len > n && bw_slice_eq_nocase(bw_slice(type.base, n), bw_slice_str(family));
}

/* A substring, as in application/x-javascript and text/javascript1.5. */
static bool names(struct bw_slice type, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= type.len; i++)
        if (bw_slice_eq_nocase(bw_slice(type.base + i, n), bw_slice_str(word)))
            return true;
    return false;
}

/* An application's own kind of data: neither a page nor what a script would read. */
static bool is_download(struct bw_slice type)
{
    return is_of(type, "application/") && !names(type, "html") && !names(type, "json") &&
           !(names(type, "xml") && !names(type, "openxmlformats")) && !names(type, "x-www-form");
}

static bool is_seen(struct bw_slice type)
{
    return is_of(type, "image/") || is_of(type, "video/") || is_type(type, "application/mp4") ||
           is_type(type, "application/ogg");
}

static bool is_font(struct bw_slice type)
{
    return is_of(type, "font/") || is_type(type, "application/vnd.ms-fontobject") ||
           (is_of(type, "application/") && names(type, "font"));
}

static bool keeps(enum bw_media promised, struct bw_slice type)
{
    switch (promised) {
    case BW_MEDIA_NONE:
        return true;
    case BW_MEDIA_STYLE:
        return is_type(type, "text/css");
    case BW_MEDIA_SCRIPT:
        return names(type, "javascript") || names(type, "ecmascript") ||
               is_type(type, "application/wasm");
    case BW_MEDIA_SEEN:
        return is_seen(type);
    case BW_MEDIA_HEARD:
        return is_of(type, "audio/") || is_of(type, "video/") || is_type(type, "application/ogg");
    case BW_MEDIA_FONT:
        return is_font(type);
    case BW_MEDIA_FILE:
        return is_download(type);
    }
    BW_UNREACHABLE();
}

enum bw_media_verdict bw_media_fits(enum bw_media promised, struct bw_slice content_type)
{
    struct bw_slice parameters;
    struct bw_slice type = bw_slice_trim(bw_slice_cut(content_type, ';', &parameters));

    if (promised == BW_MEDIA_NONE || type.len == 0 || is_type(type, "application/octet-stream") ||
        is_type(type, "binary/octet-stream"))
        return BW_MEDIA_UNKNOWN;
    return keeps(promised, type) ? BW_MEDIA_FITS : BW_MEDIA_MISMATCH;
}

/*
 * test_media.c - what an address promises, and which types keep it.
 */
#include "breakwater/http/media.h"

#include "unit.h"

static const struct {
    const char *path;
    enum bw_media media;
} paths[] = {
    {"/a.css", BW_MEDIA_STYLE},
    {"/A.CSS", BW_MEDIA_STYLE},
    {"/account/x.js", BW_MEDIA_SCRIPT},
    {"/account;x.mjs", BW_MEDIA_SCRIPT},
    {"/account%2Fx.png", BW_MEDIA_SEEN},
    {"/a.b.jpg", BW_MEDIA_SEEN},
    {"/.ico", BW_MEDIA_SEEN},
    {"/song.mp3", BW_MEDIA_HEARD},
    {"/f.woff2", BW_MEDIA_FONT},
    {"/a.7z", BW_MEDIA_FILE},
    {"/a.zst", BW_MEDIA_FILE},
    {"/", BW_MEDIA_NONE},
    {"", BW_MEDIA_NONE},
    {"*", BW_MEDIA_NONE},
    {"css", BW_MEDIA_NONE},
    {"/css", BW_MEDIA_NONE},
    {"/a.css/", BW_MEDIA_NONE},
    {"/a.css/b", BW_MEDIA_NONE},
    {"/a.", BW_MEDIA_NONE},
    {"/a.cs", BW_MEDIA_NONE},
    {"/a.csss", BW_MEDIA_NONE},
    {"/a.html", BW_MEDIA_NONE},
    {"/a.json", BW_MEDIA_NONE},
    {"/a.php", BW_MEDIA_NONE},
    {"/a.woff23", BW_MEDIA_NONE},
    {"/a.%63ss", BW_MEDIA_NONE},
};

TEST(an_extension_promises_a_kind_of_thing_and_a_page_promises_nothing)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(paths); i++) {
        enum bw_media got = bw_media_of_path(bw_slice_str(paths[i].path));

        if (got != paths[i].media)
            fail_msg("%s: %d", paths[i].path, (int)got);
    }
}

static const struct {
    const char *path;
    const char *type;
    enum bw_media_verdict verdict;
} types[] = {
    {"/a.css", "text/css", BW_MEDIA_FITS},
    {"/a.css", "Text/CSS; charset=utf-8", BW_MEDIA_FITS},
    {"/a.css", "text/html", BW_MEDIA_MISMATCH},
    {"/a.css", "text/html;text/css", BW_MEDIA_MISMATCH},
    {"/a.css", "text/plain", BW_MEDIA_MISMATCH},
    {"/a.css", "application/json", BW_MEDIA_MISMATCH},
    {"/a.css", "image/png", BW_MEDIA_MISMATCH},
    {"/a.css", "nonsense", BW_MEDIA_MISMATCH},
    {"/a.css", "", BW_MEDIA_UNKNOWN},
    {"/a.css", "application/octet-stream", BW_MEDIA_UNKNOWN},
    {"/a.js", "text/javascript", BW_MEDIA_FITS},
    {"/a.js", "application/x-javascript", BW_MEDIA_FITS},
    {"/a.mjs", "application/ecmascript", BW_MEDIA_FITS},
    {"/a.wasm", "application/wasm", BW_MEDIA_FITS},
    {"/a.js", "application/json", BW_MEDIA_MISMATCH},
    {"/a.png", "image/webp", BW_MEDIA_FITS},
    {"/a.png", "video/mp4", BW_MEDIA_FITS},
    {"/a.mp4", "image/gif", BW_MEDIA_FITS},
    {"/a.png", "image/", BW_MEDIA_MISMATCH},
    {"/a.png", "text/html", BW_MEDIA_MISMATCH},
    {"/a.svg", "image/svg+xml", BW_MEDIA_FITS},
    {"/a.mp3", "audio/mpeg", BW_MEDIA_FITS},
    {"/a.ogg", "application/ogg", BW_MEDIA_FITS},
    {"/a.mp3", "application/json", BW_MEDIA_MISMATCH},
    {"/a.woff", "application/font-woff", BW_MEDIA_FITS},
    {"/a.woff2", "font/woff2", BW_MEDIA_FITS},
    {"/a.eot", "application/vnd.ms-fontobject", BW_MEDIA_FITS},
    {"/a.ttf", "text/html", BW_MEDIA_MISMATCH},
    {"/a.pdf", "application/pdf", BW_MEDIA_FITS},
    {"/a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
     BW_MEDIA_FITS},
    {"/a.pdf", "application/xhtml+xml", BW_MEDIA_MISMATCH},
    {"/a.zip", "application/ld+json", BW_MEDIA_MISMATCH},
    {"/a.zip", "text/html", BW_MEDIA_MISMATCH},
    {"/a", "text/html", BW_MEDIA_UNKNOWN},
    {"/a.html", "image/png", BW_MEDIA_UNKNOWN},
};

TEST(pages_and_data_never_fit_a_static_extension)
{
    for (size_t i = 0; i < BW_ARRAY_LEN(types); i++) {
        enum bw_media promised = bw_media_of_path(bw_slice_str(types[i].path));
        enum bw_media_verdict got = bw_media_fits(promised, bw_slice_str(types[i].type));

        if (got != types[i].verdict)
            fail_msg("%s as %s: %d", types[i].path, types[i].type, (int)got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(an_extension_promises_a_kind_of_thing_and_a_page_promises_nothing),
        RUN(pages_and_data_never_fit_a_static_extension),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

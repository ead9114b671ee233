/*
 * date.c - the dates of HTTP, read and written  (RFC 9110, 5.6.7).
 *
 * strptime() and gmtime() know locales and zones and forgive too much: a cache that takes
 * "Thu, 18-Aug-2050" for a date keeps a response that the origin wanted stale.  The calendar is
 * the Gregorian one, counted in days since 1970-01-01.
 */
#include "breakwater/http/date.h"

enum { DAY_S = 86400, MONTHS = 12, WEEKDAYS = 7 };

static const int64_t fifty_years_s = INT64_C(50) * 31556952;
/* days from 0001-01-01 to 1970-01-01 */
static const int64_t epoch_day = 719162;

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char weekday_names[] = "SunMonTueWedThuFriSat";
static const char *const long_weekdays[WEEKDAYS] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                    "Thursday", "Friday", "Saturday"};
static const int days_before_month[MONTHS] = {0,   31,  59,  90,  120, 151,
                                              181, 212, 243, 273, 304, 334};

/* A date as it is written. */
struct parts {
    int year, month, day; /* month from 0 */
    int hour, minute, second;
};

/* What is left to read; after the first mismatch nothing else is read. */
struct scan {
    const char *at, *end;
    bool bad;
};

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* The day, since 1970-01-01, of the first of January; year >= 1. */
static int64_t year_start(int64_t year)
{
    int64_t before = year - 1;

    return before * 365 + before / 4 - before / 100 + before / 400 - epoch_day;
}

static int64_t year_of(int64_t day)
{
    int64_t year = 1 + (day + epoch_day) * 400 / 146097;

    while (year_start(year) > day)
        --year;
    while (year_start(year + 1) <= day)
        ++year;
    return year;
}

static int64_t floor_day(int64_t time_s)
{
    return time_s >= 0 ? time_s / DAY_S : -((-time_s + DAY_S - 1) / DAY_S);
}

static int month_length(int year, int month)
{
    static const int lengths[MONTHS] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 1 && is_leap(year) ? 29 : lengths[month];
}

static bool same_letter(char a, char b)
{
    return a == b || ((a ^ b) == 0x20 && ((a | 0x20) >= 'a' && (a | 0x20) <= 'z'));
}

static bool starts_with(const struct scan *in, const char *text, size_t len)
{
    if ((size_t)(in->end - in->at) < len)
        return false;
    for (size_t i = 0; i < len; ++i)
        if (!same_letter(in->at[i], text[i]))
            return false;
    return true;
}

static void literal(struct scan *in, const char *text)
{
    size_t len = strlen(text);

    if (in->bad || !starts_with(in, text, len))
        in->bad = true;
    else
        in->at += len;
}

/* Exactly that many digits. */
static int number(struct scan *in, int digits)
{
    int value = 0;

    if (in->bad || in->end - in->at < digits) {
        in->bad = true;
        return 0;
    }
    for (int i = 0; i < digits; ++i) {
        char c = *in->at++;

        if (c < '0' || c > '9') {
            in->bad = true;
            return 0;
        }
        value = value * 10 + (c - '0');
    }
    return value;
}

/* Which of the three-letter names in `names` stands here? */
static int short_name(struct scan *in, const char *names, int count)
{
    for (int i = 0; !in->bad && i < count; ++i)
        if (starts_with(in, names + (ptrdiff_t)i * 3, 3)) {
            in->at += 3;
            return i;
        }
    in->bad = true;
    return 0;
}

static void long_weekday(struct scan *in)
{
    for (int i = 0; i < WEEKDAYS; ++i)
        if (starts_with(in, long_weekdays[i], strlen(long_weekdays[i]))) {
            in->at += strlen(long_weekdays[i]);
            return;
        }
    in->bad = true;
}

static void time_of_day(struct scan *in, struct parts *p)
{
    p->hour = number(in, 2);
    literal(in, ":");
    p->minute = number(in, 2);
    literal(in, ":");
    p->second = number(in, 2);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static void imf_fixdate(struct scan *in, struct parts *p)
{
    (void)short_name(in, weekday_names, WEEKDAYS);
    literal(in, ", ");
    p->day = number(in, 2);
    literal(in, " ");
    p->month = short_name(in, month_names, MONTHS);
    literal(in, " ");
    p->year = number(in, 4);
    literal(in, " ");
    time_of_day(in, p);
    literal(in, " GMT");
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static void rfc850_date(struct scan *in, struct parts *p)
{
    long_weekday(in);
    literal(in, ", ");
    p->day = number(in, 2);
    literal(in, "-");
    p->month = short_name(in, month_names, MONTHS);
    literal(in, "-");
    p->year = number(in, 2);
    literal(in, " ");
    time_of_day(in, p);
    literal(in, " GMT");
}

/* Sun Nov  6 08:49:37 1994 */
static void asctime_date(struct scan *in, struct parts *p)
{
    (void)short_name(in, weekday_names, WEEKDAYS);
    literal(in, " ");
    p->month = short_name(in, month_names, MONTHS);
    literal(in, " ");
    if (starts_with(in, " ", 1)) {
        literal(in, " ");
        p->day = number(in, 1);
    } else {
        p->day = number(in, 2);
    }
    literal(in, " ");
    time_of_day(in, p);
    literal(in, " ");
    p->year = number(in, 4);
}

static bool exists(const struct parts *p)
{
    return p->year >= 1 && p->day >= 1 && p->day <= month_length(p->year, p->month) &&
           p->hour < 24 && p->minute < 60 && p->second <= 60;
}

static int64_t seconds(const struct parts *p)
{
    int64_t day = year_start(p->year) + days_before_month[p->month] + p->day - 1;

    if (p->month > 1 && is_leap(p->year))
        ++day;
    return day * DAY_S + (int64_t)p->hour * 3600 + (int64_t)p->minute * 60 + p->second;
}

/* A two-digit year: the latest that is no more than 50 years ahead (RFC 9110, 5.6.7). */
static void choose_century(struct parts *p, int64_t now_s)
{
    int latest = (int)year_of(floor_day(now_s + fifty_years_s));
    int year = latest - latest % 100 + p->year;

    p->year = year > latest ? year - 100 : year;
    if (seconds(p) > now_s + fifty_years_s)
        p->year -= 100;
}

bool bw_date_parse(struct bw_slice s, int64_t now_s, int64_t *out)
{
    struct parts p = {0};

    if (s.len < 4)
        return false;
    struct scan in = {s.base, s.base + s.len, false};
    if (s.base[3] == ',') {
        imf_fixdate(&in, &p);
    } else if (s.base[3] == ' ') {
        asctime_date(&in, &p);
    } else {
        rfc850_date(&in, &p);
        if (!in.bad)
            choose_century(&p, now_s);
    }
    if (in.bad || in.at != in.end || !exists(&p))
        return false;
    *out = seconds(&p);
    return true;
}

static char *put_number(char *at, int64_t value, int digits)
{
    for (int i = digits; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + digits;
}

static char *put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

static char *put_time(char *at, int64_t second_of_day)
{
    at = put_number(at, second_of_day / 3600, 2);
    at = put(at, ":", 1);
    at = put_number(at, second_of_day / 60 % 60, 2);
    at = put(at, ":", 1);
    return put_number(at, second_of_day % 60, 2);
}

void bw_date_format(int64_t time_s, char out[BW_DATE_LEN])
{
    const int64_t first = year_start(1) * DAY_S, last = year_start(10000) * DAY_S - 1;
    int64_t t = time_s < first ? first : time_s > last ? last : time_s;
    int64_t day = floor_day(t), year = year_of(day);
    int64_t day_of_year = day - year_start(year);
    int month = 0;
    char *at = out;

    while (day_of_year >= month_length((int)year, month))
        day_of_year -= month_length((int)year, month++);
    at = put(at, weekday_names + (day + epoch_day + 1) % WEEKDAYS * 3, 3);
    at = put(at, ", ", 2);
    at = put_number(at, day_of_year + 1, 2);
    at = put(at, " ", 1);
    at = put(at, month_names + (ptrdiff_t)month * 3, 3);
    at = put(at, " ", 1);
    at = put_number(at, year, 4);
    at = put(at, " ", 1);
    at = put_time(at, t - day * DAY_S);
    (void)put(at, " GMT", 4);
}

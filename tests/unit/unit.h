/*
 * unit.h - cmocka with its prerequisites, and the three words that our unit tests are written in.
 */
#pragma once

#include "breakwater/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TEST(name) static void name(__attribute__((unused)) void **state)
#define RUN(name)  cmocka_unit_test(name)

#include "../../../src/server/log_line_priv.h"
#include "unit.h"

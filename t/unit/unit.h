/* unit.h - what every unit test includes, in cmocka's order. */
#ifndef WEIR_T_UNIT_H
#define WEIR_T_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif

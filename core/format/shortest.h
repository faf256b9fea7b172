/*
 * shortest.h - doubles and floats as the shortest decimal digits that read back
 * as the same number, and of those the nearest to it; written as ECMAScript
 * writes numbers (and RFC 8785): 100, 1.5, 1e-7, 1e+21.  Minus zero is "-0".
 */
#ifndef WEIR_FORMAT_SHORTEST_H
#define WEIR_FORMAT_SHORTEST_H

enum { SHORTEST_ROOM = 48 }; /* what they write at most, and may touch */

/* At `p`; return the end.  What is not a finite number must not come here. */
char *shortest_double(char *p, double d);
char *shortest_float(char *p, float f);

#endif

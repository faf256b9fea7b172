/* weir.c - the command line. */
#include "master/master.h"

int
main(void)
{
    return 0;
}

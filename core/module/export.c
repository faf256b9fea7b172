/* export.c - the functions of weir/module.h that an instance answers. */
#include <weir/module.h>

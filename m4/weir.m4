# WEIR_MODULE(NAME, WHAT, PKG-CONFIG NAMES): --enable/--disable-NAME, looks for
# the libraries, leaves the module out where they are missing (fails where it
# was asked for by name), sets the automake conditional NAME in capitals.
AC_DEFUN([WEIR_MODULE], [
AC_ARG_ENABLE([$1], [AS_HELP_STRING([--disable-$1], [leave out $1 ($2)])],
              [weir_want=$enableval], [weir_want=auto])
weir_state=yes
AS_IF([test "x$weir_want" = xno], [weir_state="no: disabled"], [m4_ifval([$3], [
  PKG_CHECK_MODULES(m4_toupper([$1]), [$3], [],
    [AS_IF([test "x$weir_want" = xyes],
           [AC_MSG_ERROR([--enable-$1 needs $3: install its development package])])
     weir_state="no: $3 is missing"])], [:])])
AM_CONDITIONAL(m4_toupper([$1]), [test "x$weir_state" = xyes])
m4_append([weir_summary], [printf '  %-20s %-24s %s\n' "$1" "$2" "$weir_state_$1"
])
weir_state_$1=$weir_state
])

AC_DEFUN([WEIR_SUMMARY], [echo "modules:"
weir_summary])

# WEIR_COMPILER_FLAGS: warnings and hardening, each only if it is understood.
AC_DEFUN([WEIR_COMPILER_FLAGS], [
AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [warnings are errors])])
AC_ARG_ENABLE([debug], [AS_HELP_STRING([--enable-debug], [crash points for tests; sanitizers have them too])])
AC_ARG_ENABLE([sanitizers], [AS_HELP_STRING([--enable-sanitizers], [address and undefined behaviour sanitizers])])
WEIR_CFLAGS=
m4_foreach_w([weir_flag], [-Wall -Wextra -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wpointer-arith -Wformat=2 -Wwrite-strings
  -Wno-missing-field-initializers
  -fstack-protector-strong -fstack-clash-protection -fcf-protection
  -fno-strict-aliasing -fno-omit-frame-pointer], [WEIR_TRY_FLAG(weir_flag)])
WEIR_LDFLAGS="-Wl,-z,relro -Wl,-z,now"
AS_IF([test "x$enable_werror" = xyes], [WEIR_CFLAGS="$WEIR_CFLAGS -Werror"])
AS_IF([test "x$enable_debug" = xyes || test "x$enable_sanitizers" = xyes], [WEIR_CFLAGS="$WEIR_CFLAGS -DWEIR_CRASH_POINTS"])
AS_IF([test "x$enable_sanitizers" = xyes],
  [WEIR_CFLAGS="$WEIR_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined"
   WEIR_LDFLAGS="$WEIR_LDFLAGS -fsanitize=address,undefined"],
  [AS_CASE([$CFLAGS], [*-O@<:@123s@:>@*],
           [AS_CASE([$CFLAGS], [*FORTIFY_SOURCE*], [], [WEIR_CFLAGS="$WEIR_CFLAGS -D_FORTIFY_SOURCE=2"])])])
AC_SUBST([WEIR_CFLAGS])
AC_SUBST([WEIR_LDFLAGS])
])

AC_DEFUN([WEIR_TRY_FLAG], [
weir_save=$CFLAGS
CFLAGS="$CFLAGS -Werror $1"
AC_MSG_CHECKING([whether $CC takes $1])
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([])],
  [AC_MSG_RESULT([yes]); WEIR_CFLAGS="$WEIR_CFLAGS $1"], [AC_MSG_RESULT([no])])
CFLAGS=$weir_save
])

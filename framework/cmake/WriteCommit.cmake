# cmake -DSOURCES=DIR -DHEADER=FILE -P WriteCommit.cmake: writes the commit of a checkout into a header, with -dirty when
# tracked files differ from it, or "unknown" outside of one. Leaves a header that says so already, so that nothing is built anew.
execute_process(COMMAND git -C ${SOURCES} describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit unknown)
endif()
set(text "#define TRIGA_COMMIT \"${commit}\"\n")
if(EXISTS ${HEADER})
  file(READ ${HEADER} before)
endif()
if(NOT "${before}" STREQUAL text)
  file(WRITE ${HEADER} "${text}")
endif()

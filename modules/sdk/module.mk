# A module's whole Makefile, outside of Weir's tree:
#
#     MODULE = sink_foo
#     LIBS   = -lfoo
#     include $(shell pkg-config --variable=modulemk weir)
#
# SOURCES is $(MODULE).c unless set (.cc and .cpp are taken too).

SOURCES   ?= $(MODULE).c
CFLAGS    ?= -O2 -g -Wall -Wextra
CXXFLAGS  ?= -O2 -g -Wall -Wextra -Wno-missing-field-initializers
MODULEDIR ?= $(shell pkg-config --variable=moduledir weir)
WEIR      := $(shell pkg-config --cflags weir)
OBJECTS   := $(addsuffix .o,$(basename $(SOURCES)))
LINK      := $(if $(filter %.cc %.cpp,$(SOURCES)),$(CXX),$(CC))

$(MODULE).so: $(OBJECTS)
	$(LINK) -shared $(LDFLAGS) -o $@ $^ $(LIBS)

%.o: %.c
	$(CC) -std=c11 $(CFLAGS) -fPIC -fvisibility=hidden $(WEIR) -c -o $@ $<

%.o: %.cc
	$(CXX) -std=c++20 $(CXXFLAGS) -fPIC -fvisibility=hidden $(WEIR) -c -o $@ $<

%.o: %.cpp
	$(CXX) -std=c++20 $(CXXFLAGS) -fPIC -fvisibility=hidden $(WEIR) -c -o $@ $<

.PHONY: install clean
install: $(MODULE).so
	install -D -m 644 $< $(DESTDIR)$(MODULEDIR)/$(MODULE).so

clean:
	rm -f $(OBJECTS) $(MODULE).so

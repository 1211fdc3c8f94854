# SPDX-License-Identifier: GPL-2.0
#
# What the makefiles that install share. PREFIX and folders below it are where the files are
# used from, so they are absolute. DESTDIR may be relative to where make runs, and have
# blanks, as may OUTPUT.

empty :=
blank := $(empty) $(empty)

# A path as make wants it in a rule.
escaped = $(subst $(blank),\$(blank),$(1))

# The start of a command that installs files with a mode into a folder, which it makes. Modes
# of folders that are made on the way do not depend on the umask of the caller.
#   $(call to,FOLDER,MODE) FILE...
to = umask 022 && mkdir -p "$(DESTDIR)$(1)" && install -m $(2) -t "$(DESTDIR)$(1)"

$(foreach variable,PREFIX INCLUDEDIR LIBDIR MANDIR SBINDIR DOCDIR,\
	$(if $($(variable)),$(if $(filter /%,$($(variable))),,\
		$(error $(variable)=$($(variable)): give an absolute path))))

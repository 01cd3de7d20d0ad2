"""LV2 plugins that tests build with the machine's C compiler: a gain that misbehaves on request, and an instrument."""

import shutil
import subprocess
from pathlib import Path

URI = "urn:antiphon:test"
FAULTS = {"none": 0, "segfault": 1, "hang": 2, "nan": 3, "memory": 4}
_CODE = r"""
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef struct { const char* uri; void* data; } Feature;
typedef struct { void* handle; uint32_t (*map)(void*, const char*); } Map;
typedef struct {
  float* port[6]; float held; uint32_t midi; int is_synth, is_late; uint32_t at; float past[8192];
} Self;
typedef struct Descriptor {
  const char* uri;
  void* (*instantiate)(const struct Descriptor*, double, const char*, const Feature* const*);
  void (*connect)(void*, uint32_t, void*);
  void (*activate)(void*);
  void (*run)(void*, uint32_t);
  void (*deactivate)(void*);
  void (*cleanup)(void*);
  const void* (*extension)(const char*);
} Descriptor;
static void* make(const Descriptor* d, double rate, const char* path, const Feature* const* features) {
  Self* s = calloc(1, sizeof(Self));
  for (; *features; features++)
    if (!strcmp((*features)->uri, "http://lv2plug.in/ns/ext/urid#map")) {
      Map* map = (*features)->data;
      s->midi = map->map(map->handle, "http://lv2plug.in/ns/ext/midi#MidiEvent");
    }
  s->is_synth = strstr(d->uri, "synth") != 0;
  s->is_late = strstr(d->uri, "late") != 0;
  return s;
}
static void join(void* self, uint32_t n, void* at) { ((Self*)self)->port[n] = at; }
static void run(void* self, uint32_t frames) {
  Self* s = self;
  float** p = s->port;
  if (s->is_synth) {
    char* notes = (char*)p[0];
    uint32_t end = *(uint32_t*)notes + 8, at = 16, done = 0;
    for (;;) {
      uint32_t until = at < end ? (uint32_t)*(int64_t*)(notes + at) : frames;
      for (; done < until && done < frames; done++) p[1][done] = s->held * p[2][0];
      if (at >= end) return;
      uint8_t* m = (uint8_t*)(notes + at + 16);
      if (*(uint32_t*)(notes + at + 12) == s->midi)
        s->held = (m[0] & 0xf0) == 0x90 ? m[1] / 128.0f : 0.0f;
      at += 16 + ((*(uint32_t*)(notes + at + 8) + 7) & ~7u);
    }
  }
  if (s->is_late) {
    uint32_t late = (uint32_t)*p[2] * (*p[3] > 0.5f ? 2 : 1);
    for (uint32_t n = 0; n < frames; n++, s->at++) {
      s->past[s->at & 8191] = p[0][n];
      p[1][n] = *p[5] * s->past[(s->at - late) & 8191];
    }
    *p[4] = late;
    return;
  }
  int fault = (int)*p[3];
  for (uint32_t n = 0; n < frames; n++) p[1][n] = p[0][n] * *p[2];
  if (fault == 1) *(volatile int*)0 = 0;
  if (fault == 2) for (;;) usleep(1000);
  if (fault == 3) p[1][0] = NAN;
  if (fault == 4) for (;;) { char* more = malloc(1 << 20); memset(more, 1, 1 << 20); }
  *p[4] = 32.0f;
}
static const Descriptor found[3] = {
  {"URI:gain", make, join, 0, run, 0, free, 0}, {"URI:synth", make, join, 0, run, 0, free, 0},
  {"URI:late", make, join, 0, run, 0, free, 0}};
const Descriptor* lv2_descriptor(uint32_t n) { return n < 3 ? &found[n] : 0; }
"""
_DATA = """
@prefix lv2: <http://lv2plug.in/ns/lv2core#> .
@prefix atom: <http://lv2plug.in/ns/ext/atom#> .
@prefix doap: <http://usefulinc.com/ns/doap#> .
@prefix units: <http://lv2plug.in/ns/extensions/units#> .
<URI:gain> a lv2:Plugin ; lv2:binary <made.so> ; doap:name "Made gain" ; lv2:port
  [ a lv2:AudioPort, lv2:InputPort ; lv2:index 0 ; lv2:symbol "a" ; lv2:name "In" ],
  [ a lv2:AudioPort, lv2:OutputPort ; lv2:index 1 ; lv2:symbol "b" ; lv2:name "Out" ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 2 ; lv2:symbol "Gain" ; lv2:name "How loud" ; units:unit units:coef ;
    lv2:default 1.0 ; lv2:minimum 0.0 ; lv2:maximum 2.0 ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 3 ; lv2:symbol "bypass" ; lv2:name "Fault" ; lv2:default 0 ;
    lv2:minimum 0 ; lv2:maximum 4 ; lv2:portProperty lv2:integer, lv2:enumeration ; lv2:scalePoint POINTS ],
  [ a lv2:ControlPort, lv2:OutputPort ; lv2:index 4 ; lv2:symbol "late" ; lv2:name "Latency" ;
    lv2:portProperty lv2:reportsLatency ] .
<URI:synth> a lv2:Plugin ; lv2:binary <made.so> ; doap:name "Made synth" ;
  lv2:requiredFeature <http://lv2plug.in/ns/ext/urid#map> ; lv2:port
  [ a atom:AtomPort, lv2:InputPort ; lv2:index 0 ; lv2:symbol "notes" ; lv2:name "Notes" ;
    atom:bufferType atom:Sequence ; atom:supports <http://lv2plug.in/ns/ext/midi#MidiEvent> ],
  [ a lv2:AudioPort, lv2:OutputPort ; lv2:index 1 ; lv2:symbol "b" ; lv2:name "Out" ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 2 ; lv2:symbol "level" ; lv2:name "Level" ; lv2:default 1.0 ;
    lv2:minimum 0.0 ; lv2:maximum 1.0 ] .
<URI:late> a lv2:Plugin ; lv2:binary <made.so> ; doap:name "Made late" ; lv2:port
  [ a lv2:AudioPort, lv2:InputPort ; lv2:index 0 ; lv2:symbol "a" ; lv2:name "In" ],
  [ a lv2:AudioPort, lv2:OutputPort ; lv2:index 1 ; lv2:symbol "b" ; lv2:name "Out" ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 2 ; lv2:symbol "ahead" ; lv2:name "Look-ahead" ; lv2:default 0.0 ;
    lv2:minimum 0.0 ; lv2:maximum 4000.0 ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 3 ; lv2:symbol "twice" ; lv2:name "Twice" ; lv2:default 0 ;
    lv2:minimum 0 ; lv2:maximum 1 ; lv2:portProperty lv2:toggled ],
  [ a lv2:ControlPort, lv2:OutputPort ; lv2:index 4 ; lv2:symbol "late" ; lv2:name "Latency" ;
    lv2:designation lv2:latency ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 5 ; lv2:symbol "gain" ; lv2:name "Gain" ; lv2:default 1.0 ;
    lv2:minimum 0.0 ; lv2:maximum 2.0 ] .
<URI:odd> a lv2:Plugin ; lv2:binary <made.so> ; doap:name "Made odd" ; lv2:requiredFeature <urn:odd:feature> ; lv2:port
  [ a lv2:AudioPort, lv2:OutputPort ; lv2:index 0 ; lv2:symbol "b" ; lv2:name "Out" ] .
<URI:broken> a lv2:Plugin ; lv2:binary <none.so> ; doap:name "Made broken" ; lv2:port
  [ a lv2:AudioPort, lv2:OutputPort ; lv2:index 0 ; lv2:symbol "b" ; lv2:name "Out" ] .
"""
NAMES = ("gain", "synth", "late", "odd", "broken")


def build(folder: Path) -> bool:
    """Makes the bundle `made.lv2` in a folder; False where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return False
    bundle = folder / "made.lv2"
    bundle.mkdir(parents=True)
    (bundle / "made.c").write_text(_CODE.replace("URI", URI))
    words = [compiler, "-O1", "-shared", "-fPIC", "-o", str(bundle / "made.so"), str(bundle / "made.c")]
    subprocess.run(words, check=True)
    points = ", ".join(
        f'[ <http://www.w3.org/2000/01/rdf-schema#label> "{name}" ; '
        f"<http://www.w3.org/1999/02/22-rdf-syntax-ns#value> {n} ]"
        for name, n in FAULTS.items()
    )
    (bundle / "made.ttl").write_text(_DATA.replace("URI", URI).replace("POINTS", points))
    listed = "".join(
        f"<{URI}:{name}> a <http://lv2plug.in/ns/lv2core#Plugin> ; "
        f"<http://www.w3.org/2000/01/rdf-schema#seeAlso> <made.ttl> .\n"
        for name in NAMES
    )
    (bundle / "manifest.ttl").write_text(listed)
    return True

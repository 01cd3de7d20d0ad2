"""LV2 and CLAP plugins that tests build with the machine's C compiler: such as a gain that misbehaves on request."""

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
  float* port[8]; float held; uint32_t midi; int is_synth, is_late, is_odd; uint32_t at; float past[8192];
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
  s->is_odd = strstr(d->uri, "ports") != 0;
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
  if (s->is_odd) {
    for (uint32_t n = 0; n < frames; n++) p[1][n] = *p[3] > 0.5f ? *p[2] : 0.0f;
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
static const Descriptor found[4] = {
  {"URI:gain", make, join, 0, run, 0, free, 0}, {"URI:synth", make, join, 0, run, 0, free, 0},
  {"URI:late", make, join, 0, run, 0, free, 0}, {"URI:ports", make, join, 0, run, 0, free, 0}};
const Descriptor* lv2_descriptor(uint32_t n) { return n < 4 ? &found[n] : 0; }
"""
_DATA = """
@prefix lv2: <http://lv2plug.in/ns/lv2core#> .
@prefix atom: <http://lv2plug.in/ns/ext/atom#> .
@prefix doap: <http://usefulinc.com/ns/doap#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
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
<URI:ports> a lv2:Plugin ; lv2:binary <made.so> ; doap:name "Made ports" ; lv2:port
  [ a lv2:AudioPort, lv2:InputPort ; lv2:index 0 ; lv2:symbol "a" ; lv2:name "In" ],
  [ a lv2:AudioPort, lv2:OutputPort ; lv2:index 1 ; lv2:symbol "b" ; lv2:name "Out" ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 2 ; lv2:symbol "center" ; lv2:name "Center" ;
    lv2:portProperty lv2:sampleRate ; lv2:default 0.22505 ; lv2:minimum 0.0001 ; lv2:maximum 0.45 ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 3 ; lv2:symbol "enable" ; lv2:name "Enable" ; lv2:default 1 ;
    lv2:minimum 0 ; lv2:maximum 1 ; lv2:portProperty lv2:toggled ; lv2:designation lv2:enabled ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 4 ; lv2:symbol "hold" ; lv2:name "Hold" ; lv2:default 0 ;
    lv2:minimum 0 ; lv2:maximum 1 ; lv2:portProperty lv2:toggled ; lv2:designation lv2:enabled ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 5 ; lv2:symbol "freq" ; lv2:name "Base" ;
    lv2:portProperty lv2:sampleRate ; lv2:default 440.0 ; lv2:minimum 0.000001 ; lv2:maximum 0.5 ;
    units:unit [ a units:Unit ; units:symbol "samp" ] ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 6 ; lv2:symbol "shape" ; lv2:name "Shape" ; lv2:default 1 ;
    lv2:minimum 0 ; lv2:maximum 2 ; lv2:portProperty lv2:integer ; lv2:scalePoint [ rdfs:label "Sine" ; rdf:value 0 ],
    [ rdfs:label "Saw" ; rdf:value 1 ], [ rdfs:label "Noise" ; rdf:value 2 ] ],
  [ a lv2:ControlPort, lv2:InputPort ; lv2:index 7 ; lv2:symbol "filter" ; lv2:name "Filter" ; lv2:default 0.5 ;
    lv2:minimum 0.02 ; lv2:maximum 2.0 ; lv2:scalePoint [ rdfs:label "Fast" ; rdf:value 0.02 ],
    [ rdfs:label "Slow" ; rdf:value 1.0 ] ] .
<URI:odd> a lv2:Plugin ; lv2:binary <made.so> ; doap:name "Made odd" ; lv2:requiredFeature <urn:odd:feature> ; lv2:port
  [ a lv2:AudioPort, lv2:OutputPort ; lv2:index 0 ; lv2:symbol "b" ; lv2:name "Out" ] .
<URI:broken> a lv2:Plugin ; lv2:binary <none.so> ; doap:name "Made broken" ; lv2:port
  [ a lv2:AudioPort, lv2:OutputPort ; lv2:index 0 ; lv2:symbol "b" ; lv2:name "Out" ] .
"""
_CLAP = r"""
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
typedef struct { uint32_t version[3]; const char *id, *name, *vendor, *url, *manual, *support, *release, *description;
  const char* const* features; } Descriptor;
typedef struct Host { uint32_t version[3]; void* data; const char *name, *vendor, *url, *release;
  const void* (*get)(const struct Host*, const char*); void (*restart)(const struct Host*); } Host;
typedef struct { const void* descriptor; void* data; bool (*init)(); void (*destroy)();
  bool (*activate)(); void (*deactivate)(); bool (*start)(); void (*stop)(); void (*reset)(); int32_t (*process)();
  const void* (*extension)(void*, const char*); void (*on_main)(); } Plugin;
typedef struct { float** data; double** data64; uint32_t channels, latency; uint64_t constant; } Buffer;
typedef struct { void* data; uint32_t (*size)(void*); const void* (*get)(void*, uint32_t); } Events;
typedef struct { int64_t steady; uint32_t frames; void* transport; Buffer *in, *out; uint32_t ins, outs;
  Events* events; } Process;
typedef struct { uint32_t size, time; uint16_t space, type; uint32_t flags; uint16_t port; uint8_t data[3]; } Midi;
typedef struct { bool (*is_main)(const Host*), (*is_audio)(const Host*); } Check;
static const Host* host;
static const Check* check;
static int heard, at, told;
static float past[480];
static bool yes() { return check->is_main(host) && !check->is_audio(host); }
static bool activate() { memset(past, 0, sizeof past); return yes(); }
static void nothing() {}
static uint32_t latency(void* p) { return 480; }
static bool init(void* p) {  /* as some do, without asking whether the host has them */
  static const char* names[] = {
    "latency", "tail", "log", "state", "params", "audio-ports", "note-ports", "timer-support"};
  for (int n = 0; n < 8; n++) {
    char name[32];
    snprintf(name, 32, "clap.%s", names[n]);
    ((bool (*)(const Host*, uint32_t, const char*)) * (void* const*)host->get(host, name))(host, 0, "made");
  }
  check = host->get(host, "clap.thread-check");
  return yes();
}
static bool play() { return !check->is_main(host) && check->is_audio(host); }
static int32_t process(void* p, const Process* io) {
  for (uint32_t n = 0; n < io->events->size(io->events->data); n++) {
    const Midi* m = io->events->get(io->events->data, n);
    if (m->type == 10) heard = m->data[0] * 10000 + m->data[1] * 10 + (m->data[2] > 0);
  }
  for (uint32_t n = 0; n < io->frames; n++)
    io->out->data[0][n] = play() ? heard + past[(at + n) % 480] : -1.0f, past[(at + n) % 480] = io->in->data[0][n];
  at += io->frames;
  if (!told) host->restart(host);  /* as DPF does where a latency is new to it */
  told = 1;
  return 1;
}
static uint32_t count(void* p) { return 3; }
typedef struct { uint32_t id, flags; void* cookie; char name[256], module[1024]; double low, high, first; } Param;
static bool info(void* p, uint32_t n, Param* at) {
  static const Param all[3] = {{7, 0, 0, "Attack", "", 0.1, 100.0, 10.0}, {8, 1, 0, "Mode", "", 0, 2, 1},
    {9, 0, 0, "Level", "", 0.0, 1.0, 0.5}};
  *at = all[n];
  return true;
}
static bool text(void* p, uint32_t id, double value, char* at, uint32_t size) {
  static const char* modes[] = {"Soft", "Hard", "Off"};
  if (id == 8) return snprintf(at, size, "%s", modes[(int)value]) > 0;
  return snprintf(at, size, id == 7 ? "%.1f ms" : "%.0f %%", id == 7 ? value : 100.0 * value) > 0;
}
static bool value(void* p, uint32_t id, double* at) { return id == 7 && (*at = 20.0); }
static const void* params[] = {count, info, value, text, 0, 0};
static uint32_t one(void* p, bool in) { return 1; }
static bool port(void* p, uint32_t n, bool in, char* at) { *(uint32_t*)(at + 264) = 1; return true; }
static bool notes(void* p, uint32_t n, bool in, uint32_t* at) { at[1] = 2; return true; }
static const void *ports[] = {one, port}, *note_ports[] = {one, notes}, *late[] = {latency};
static const void* extension(void* p, const char* name) {
  return !strcmp(name, "clap.params") ? params : !strcmp(name, "clap.audio-ports") ? ports
    : !strcmp(name, "clap.note-ports") ? note_ports : !strcmp(name, "clap.latency") ? late : 0;
}
static const Descriptor said = {{1, 1, 0}, "made.clap", "Made clap", "", "", "", "", "", "", 0};
static const Plugin plugin = {
  &said, 0, init, nothing, activate, nothing, play, nothing, nothing, process, extension, nothing};
static uint32_t factory_count(void* f) { return 1; }
static const void* factory_said(void* f, uint32_t n) { return &said; }
static const void* create(void* f, const Host* with, const char* id) { host = with; told = 0; return &plugin; }
static const void* factory[] = {factory_count, factory_said, create};
static bool open_it(const char* path) { return true; }
static const void* get_factory(const char* id) { return factory; }
typedef struct { uint32_t version[3]; bool (*open)(const char*); void (*close)();
  const void* (*get)(const char*); } Entry;
const Entry clap_entry = {{1, 1, 0}, open_it, nothing, get_factory};
"""
NAMES = ("gain", "synth", "late", "ports", "odd", "broken")


def build(folder: Path) -> bool:
    """Makes the bundle `made.lv2` and `made.clap` in a folder; False where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return False
    bundle = folder / "made.lv2"
    bundle.mkdir(parents=True)
    (bundle / "made.c").write_text(_CODE.replace("URI", URI))
    (bundle / "clap.c").write_text(_CLAP)
    for code, made in (("made.c", bundle / "made.so"), ("clap.c", folder / "made.clap")):
        subprocess.run([compiler, "-O1", "-w", "-shared", "-fPIC", "-o", str(made), str(bundle / code)], check=True)
    points = ", ".join(f'[ rdfs:label "{name}" ; rdf:value {n} ]' for name, n in FAULTS.items())
    (bundle / "made.ttl").write_text(_DATA.replace("URI", URI).replace("POINTS", points))
    listed = "".join(
        f"<{URI}:{name}> a <http://lv2plug.in/ns/lv2core#Plugin> ; "
        f"<http://www.w3.org/2000/01/rdf-schema#seeAlso> <made.ttl> .\n"
        for name in NAMES
    )
    (bundle / "manifest.ttl").write_text(listed)
    return True

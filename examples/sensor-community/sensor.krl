// One temperature sensor. Heartbeats in the form of a Wovyn sensor come by HTTP on a channel that takes nothing else;
// readings and violations go to the parent, and readings also to every peer of this pico's own connections.
ruleset picomesh.sensor {
  meta {
    name "Temperature sensor"
    description <<Takes heartbeats, compares them with a threshold, tells its community and its own peers>>
    author "Picomesh"
    use module io.picolabs.wrangler alias wrangler
    shares profile, lastTemperature, readings, applied, remarks, __testing
  }

  global {
    __testing = {
      "queries": [
        {"name": "profile", "args": []},
        {"name": "lastTemperature", "args": []},
        {"name": "readings", "args": []},
        {"name": "applied", "args": []},
        {"name": "remarks", "args": []}
      ],
      "events": [
        {"domain": "wovyn", "name": "heartbeat", "attrs": ["genericThing", "sequence"]},
        {"domain": "sensor", "name": "threshold_wanted", "attrs": ["threshold"]}
      ]
    }
    readings_kept = 20

    profile = function() {
      {"name": meta:rulesetConfig{"name"}, "threshold": threshold(), "heartbeats": ent:channel}
    }
    threshold = function() { ent:threshold.defaultsTo(meta:rulesetConfig{"threshold"}).defaultsTo(80).as("Number") }
    lastTemperature = function() { readings().reverse().head() }
    readings = function() { ent:readings.defaultsTo([]) }
    // How often each heartbeat was applied, by running number.
    applied = function() { ent:applied.defaultsTo({}) }
    remarks = function() { ent:remarks.defaultsTo({}) }

    newest = function(list) {
      list.length() > readings_kept => list.slice(list.length() - readings_kept, list.length() - 1) | list
    }
    peers = function() {
      connection:list().filter(function(c) { c{"state"} == "established" })
    }
    told = function(temperature) {
      {
        "name": meta:rulesetConfig{"name"},
        "sequence": event:attrs{"sequence"},
        "temperature": temperature,
        "at": event:attrs{"at"}
      }
    }
  }

  rule begin {
    select when wrangler ruleset_installed where event:attrs{"rids"} >< meta:rid
    if ent:channel.isnull() then
      wrangler:createChannel(["heartbeats"],
        {"allow": [{"domain": "wovyn", "name": "heartbeat"}], "deny": []},
        {"allow": [{"rid": meta:rid, "name": "*"}], "deny": []}) setting(channel)
    fired {
      ent:channel := channel{"id"};
      raise sensor event "channel_opened" attributes {"channel": channel{"id"}}
    }
  }

  rule report_channel {
    select when sensor channel_opened
    event:send({"eci": wrangler:parent_eci(), "domain": "community", "type": "sensor_ready",
      "attrs": {"name": meta:rulesetConfig{"name"}, "channel": event:attrs{"channel"}}})
  }

  rule set_threshold {
    select when sensor threshold_wanted threshold re#^(\d+)$# setting(threshold)
    always {
      ent:threshold := threshold.as("Number")
    }
  }

  rule take_heartbeat {
    select when wovyn heartbeat
    pre {
      temperature = event:attrs{["genericThing", "data", "temperature", 0, "temperatureF"]}
      sequence = event:attrs{"sequence"}.defaultsTo("").as("String")
    }
    if not temperature.isnull() then noop()
    fired {
      ent:applied{sequence} := applied(){sequence}.defaultsTo(0) + 1;
      raise sensor event "reading_taken" attributes {
        "temperature": temperature.as("Number"),
        "sequence": sequence,
        "at": time:now()
      }
    }
  }

  rule keep_reading {
    select when sensor reading_taken
    event:send({"eci": wrangler:parent_eci(), "domain": "community", "type": "reading_taken",
      "attrs": told(event:attrs{"temperature"})})
    fired {
      ent:readings := newest(readings().append([{"temperature": event:attrs{"temperature"}, "at": event:attrs{"at"}}]))
    }
  }

  rule find_violation {
    select when sensor reading_taken where event:attrs{"temperature"} > threshold()
    event:send({"eci": wrangler:parent_eci(), "domain": "community", "type": "threshold_violation",
      "attrs": told(event:attrs{"temperature"}).put("threshold", threshold())})
  }

  rule tell_peers {
    select when sensor reading_taken
    foreach peers() setting(peer)
      connection:event(peer{"connectionId"}, "watcher", "reading", told(event:attrs{"temperature"}))
  }

  rule hear_remark {
    select when visitor remark sequence re#(.+)# setting(sequence)
    always {
      ent:remarks{sequence} := remarks(){sequence}.defaultsTo(0) + 1
    }
  }
}

// A community of sensors. Each sensor is a child pico that this ruleset makes and outfits; readings and violations come
// up from the children, and violations go on over a DIDComm connection to whoever watches, on whatever engine that is.
ruleset picomesh.sensor_community {
  meta {
    name "Sensor community"
    description <<Makes sensors as children, keeps their last readings, passes violations on to a watcher elsewhere>>
    author "Picomesh"
    shares sensors, lastTemperatures, violations, remarks, __testing
  }

  global {
    __testing = {
      "queries": [
        {"name": "sensors", "args": []},
        {"name": "lastTemperatures", "args": []},
        {"name": "violations", "args": []},
        {"name": "remarks", "args": []}
      ],
      "events": [
        {"domain": "community", "name": "sensor_wanted", "attrs": ["name", "threshold"]}
      ]
    }

    sensors = function() { ent:sensors.defaultsTo({}) }
    lastTemperatures = function() { ent:temperatures.defaultsTo({}) }
    // How often each violation was caught, by sensor and running number: more than once would be a fault of the engine.
    violations = function() { ent:violations.defaultsTo({}) }
    remarks = function() { ent:remarks.defaultsTo({}) }

    sensor_url = function() { meta:rulesetURI.replace(re#[^/]+$#, "sensor.krl") }
    watchers = function() {
      connection:list().filter(function(c) { c{"state"} == "established" })
    }
  }

  // ---- sensors are children ----------------------------------------------------------------------------------

  rule make_sensor {
    select when community sensor_wanted name re#(.+)# setting(name)
    if sensors(){name}.isnull() then noop()
    fired {
      raise wrangler event "new_child_request" attributes {
        "name": name,
        "sensor": true,
        "threshold": event:attrs{"threshold"}.defaultsTo(80)
      }
    }
  }

  rule outfit_sensor {
    select when wrangler child_initialized sensor re#true#
    pre {
      name = event:attrs{"name"}
      config = {"name": name, "threshold": event:attrs{"threshold"}}
    }
    event:send({"eci": event:attrs{"eci"}, "domain": "wrangler", "type": "install_ruleset_request",
      "attrs": {"url": sensor_url(), "config": config}})
    fired {
      ent:sensors{name} := {"eci": event:attrs{"eci"}, "id": event:attrs{"id"}, "did": event:attrs{"did"}}
    }
  }

  rule note_heartbeat_channel {
    select when community sensor_ready name re#(.+)# setting(name)
    if sensors(){name} then noop()
    fired {
      ent:sensors{[name, "heartbeats"]} := event:attrs{"channel"}
    }
  }

  // ---- what they say -----------------------------------------------------------------------------------------

  rule keep_reading {
    select when community reading_taken name re#(.+)# setting(name)
    if sensors(){name} then noop()
    fired {
      ent:temperatures{name} := {"temperature": event:attrs{"temperature"}, "at": event:attrs{"at"}}
    }
  }

  rule catch_violation {
    select when community threshold_violation name re#(.+)# setting(name)
    pre {
      key = name + " " + event:attrs{"sequence"}
    }
    if sensors(){name} then noop()
    fired {
      ent:violations{key} := violations(){key}.defaultsTo(0) + 1;
      raise community event "violation_caught" attributes event:attrs
    }
  }

  rule pass_violation_on {
    select when community violation_caught
    foreach watchers() setting(watcher)
      connection:event(watcher{"connectionId"}, "watcher", "threshold_violation", event:attrs)
  }

  // ---- what the watcher says -----------------------------------------------------------------------------------

  rule hear_remark {
    select when visitor remark sequence re#(.+)# setting(sequence)
    always {
      ent:remarks{sequence} := remarks(){sequence}.defaultsTo(0) + 1
    }
  }
}

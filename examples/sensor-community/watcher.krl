// Watches sensors from another engine: violations and readings arrive over the pico protocol, the temperatures of the
// whole community are asked back over the same connection, and remarks are made to either.
ruleset picomesh.watcher {
  meta {
    name "Watcher"
    description <<Receives violations from a sensor community elsewhere, and asks it for all temperatures>>
    author "Picomesh"
    shares violations, readings, temperatures, asked, __testing
  }

  global {
    __testing = {
      "queries": [
        {"name": "violations", "args": []},
        {"name": "readings", "args": []},
        {"name": "temperatures", "args": []}
      ],
      "events": [
        {"domain": "watcher", "name": "remark_wanted", "attrs": ["connectionId", "sequence"]}
      ]
    }

    // How often each arrived, by sensor and running number.
    violations = function() { ent:violations.defaultsTo({}) }
    readings = function() { ent:readings.defaultsTo({}) }
    temperatures = function() { ent:temperatures.defaultsTo({}) }
    asked = function() { ent:asked.defaultsTo(0) }
    key = function() { event:attrs{"name"} + " " + event:attrs{"sequence"} }
  }

  rule catch_violation {
    select when watcher threshold_violation
    always {
      ent:violations{key()} := violations(){key()}.defaultsTo(0) + 1
    }
  }

  rule note_reading {
    select when watcher reading
    always {
      ent:readings{key()} := readings(){key()}.defaultsTo(0) + 1
    }
  }

  // One question at a time: the answer is an event of its own, later, on the thread of the question.
  rule ask_back {
    select when watcher threshold_violation
    if ent:thread.isnull() then
      connection:query(event:attrs{"_connectionId"}, "picomesh.sensor_community", "lastTemperatures", {}) setting(sent)
    fired {
      ent:thread := sent{"threadId"};
      ent:asked := asked() + 1
    }
  }

  rule hear_answer {
    select when didcomm_pico answer where event:attrs{"thid"} == ent:thread
    pre {
      value = event:attrs{["body", "value"]}
    }
    always {
      ent:temperatures := value if value;
      clear ent:thread
    }
  }

  rule make_remark {
    select when watcher remark_wanted
      connectionId re#(.+)#
      sequence re#(.+)#
      setting(connectionId, sequence)
    connection:event(connectionId, "visitor", "remark", {"sequence": sequence})
  }
}
